package box

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// makeGroups makes a control group of version 1 or 2 for each limit, below that of
// this process. It returns those that could be made.
func makeGroups(memory, processes int64) []string {
	var made []string
	for _, bound := range []struct {
		controller, one, two string
		value                int64
	}{
		{"memory", "memory.limit_in_bytes", "memory.max", memory},
		{"pids", "pids.max", "pids.max", processes},
	} {
		if bound.value == 0 {
			continue
		}
		for _, above := range []struct{ dir, file string }{
			{ownGroup("/sys/fs/cgroup/"+bound.controller, bound.controller), bound.one},
			{ownGroup("/sys/fs/cgroup", ""), bound.two},
		} {
			if above.dir == "" {
				continue
			}
			dir := filepath.Join(above.dir, fmt.Sprintf("ergane-test-%d-%s", os.Getpid(), bound.controller))
			if os.Mkdir(dir, 0o755) != nil {
				continue
			}
			if f, err := os.OpenFile(filepath.Join(dir, above.file), os.O_WRONLY, 0); err == nil {
				_, err = f.WriteString(strconv.FormatInt(bound.value, 10))
				f.Close()
				if err == nil {
					made = append(made, dir)
					break
				}
			}
			os.Remove(dir)
		}
	}
	return made
}

// ownGroup is the folder of this process's group in the hierarchy of a controller
// of version 1, or of version 2 for "". It is "" if there is none.
func ownGroup(top, controller string) string {
	raw, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return ""
	}
	for line := range strings.Lines(string(raw)) {
		parts := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(parts) == 3 && parts[1] == controller {
			for _, dir := range []string{filepath.Join(top, parts[2]), top} {
				if _, err := os.Stat(filepath.Join(dir, "cgroup.procs")); err == nil {
					return dir
				}
			}
		}
	}
	return ""
}

// removeGroups removes groups and those below them. Their processes have been
// killed and end in a moment.
func removeGroups(groups []string) {
	for _, g := range groups {
		for range 100 {
			removeBelow(g)
			if os.Remove(g); !exists(g) {
				break
			}
			time.Sleep(50 * time.Millisecond)
		}
	}
}

func removeBelow(dir string) {
	entries, _ := os.ReadDir(dir)
	for _, e := range entries {
		if e.IsDir() {
			removeBelow(filepath.Join(dir, e.Name()))
			os.Remove(filepath.Join(dir, e.Name()))
		}
	}
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
