package kernel

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/ergane-dev/ergane"
	"github.com/ergane-dev/ergane/internal/sandbox"
)

// An oomWatch knows whether the out-of-memory killer has killed a process lately.
type oomWatch struct {
	group *sandbox.Group // whose processes count
	files []string       // without a group: counts of all processes of the machine or of our group

	mu sync.Mutex
	// The counts at the last two samples: a kill just before the last one still
	// counts. Guarded by mu.
	last, previous int64
	sampled        time.Time // the last one; guarded by mu
}

// sampleEvery is how old a sample has to be before it is replaced.
const sampleEvery = time.Second

// newOOMWatch begins to watch a group, or files where it is nil.
func newOOMWatch(g *sandbox.Group, files []string) *oomWatch {
	w := &oomWatch{group: g}
	if g == nil {
		w.files = files
	}
	w.last = w.count().Kills
	w.previous = w.last
	return w
}

// oomCounts are the files that count such kills: of our control group where
// there is one with a memory controller, and of the machine.
func oomCounts() (files []string) {
	b, _ := os.ReadFile("/proc/self/cgroup")
	for line := range strings.Lines(string(b)) {
		hierarchy, rest, _ := strings.Cut(strings.TrimSpace(line), ":")
		controllers, group, _ := strings.Cut(rest, ":")
		switch {
		case hierarchy == "0":
			files = append(files, "/sys/fs/cgroup"+group+"/memory.events")
		case controllers == "memory":
			files = append(files, "/sys/fs/cgroup/memory"+group+"/memory.oom_control")
		}
	}
	return append(files, "/proc/vmstat")
}

func (w *oomWatch) sample() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if time.Since(w.sampled) >= sampleEvery {
		w.previous, w.last, w.sampled = w.last, w.count().Kills, time.Now()
	}
}

// lately says which memory was exhausted; empty if none was.
func (w *oomWatch) lately() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	s := w.count()
	s.Kills -= w.previous
	return w.words(s)
}

// total counts all kills in the group, and says why they happened.
func (w *oomWatch) total() (kills int64, why string) {
	s := w.count()
	return s.Kills, w.words(s)
}

func (w *oomWatch) words(s sandbox.Shortage) string {
	switch {
	case s.Kills <= 0:
		return ""
	case !s.Own: // the machine's memory, or the limit of all sessions together
		return ergane.OutOfMemory
	}
	return fmt.Sprintf("%s: the session's limit of %d MiB is reached; a larger spark.driver.memory or spark.driver.memoryOverhead raises it",
		ergane.OutOfMemory, w.group.Memory>>20)
}

func (w *oomWatch) count() sandbox.Shortage {
	s := w.group.Shortage()
	for _, name := range w.files {
		b, err := os.ReadFile(name)
		if err != nil {
			continue
		}
		for line := range strings.Lines(string(b)) {
			if v, ok := strings.CutPrefix(line, "oom_kill "); ok {
				kills, _ := strconv.ParseInt(strings.TrimSpace(v), 10, 64)
				s.Kills += kills
			}
		}
	}
	return s
}
