package kernel

import (
	"bytes"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"unicode"

	"github.com/ergane-dev/ergane"
)

// detail says what else is known of the kernel's end; empty after an orderly one.
func (s *shim) detail(status syscall.WaitStatus) string {
	if why := s.why.Load(); why != nil {
		return *why
	}
	var parts []string
	if status.Signaled() && status.Signal() == syscall.SIGKILL && s.oom.happened() {
		parts = append(parts, ergane.OutOfMemory)
	}
	if status.Signaled() || status.ExitStatus() != 0 {
		if words := s.lastWords(); words != "" {
			parts = append(parts, words)
		}
	}
	return strings.Join(parts, ": ")
}

// lastWords is the end of what the kernel wrote before its output went to the spool.
func (s *shim) lastWords() string {
	f, size, err := openRegular(s.root, spawnLog, os.O_RDONLY)
	if err != nil {
		return ""
	}
	defer f.Close()
	b := make([]byte, maxDetail)
	n, _ := f.ReadAt(b, max(0, size-maxDetail))
	b = b[:n]
	if size > maxDetail { // half a line says little
		if _, rest, ok := bytes.Cut(b, []byte("\n")); ok {
			b = rest
		}
	}
	text := strings.Map(func(r rune) rune {
		if r == '\n' || unicode.IsPrint(r) {
			return r
		}
		return -1
	}, strings.ToValidUTF8(string(b), ""))
	return strings.TrimSpace(text)
}

// maxSpawnLog is more than honest kernels write there, who have their output elsewhere.
const maxSpawnLog = 64 << 10

// cutSpawnLog makes sure that nothing large stays for as long as logs are kept.
func (s *shim) cutSpawnLog() {
	f, size, err := openRegular(s.root, spawnLog, os.O_WRONLY)
	if err != nil {
		return
	}
	defer f.Close()
	if size > maxSpawnLog {
		f.Truncate(maxSpawnLog)
	}
}

// An oomWatch tells whether Linux killed a process for want of memory lately.
type oomWatch struct {
	files []string
	// The counts at the last two samples: a kill just before the last one still counts.
	last, previous *atomic.Int64
}

func newOOMWatch(files []string) oomWatch {
	w := oomWatch{files: files, last: new(atomic.Int64), previous: new(atomic.Int64)}
	w.last.Store(w.count())
	w.previous.Store(w.last.Load())
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

func (w oomWatch) sample() { w.previous.Store(w.last.Swap(w.count())) }

func (w oomWatch) happened() bool { return w.count() > w.previous.Load() }

func (w oomWatch) count() (n int64) {
	for _, name := range w.files {
		b, err := os.ReadFile(name)
		if err != nil {
			continue
		}
		for line := range strings.Lines(string(b)) {
			if v, ok := strings.CutPrefix(line, "oom_kill "); ok {
				kills, _ := strconv.ParseInt(strings.TrimSpace(v), 10, 64)
				n += kills
			}
		}
	}
	return n
}
