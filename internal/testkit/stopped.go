package testkit

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// Stopped reports whether every thread of a process is stopped (SIGSTOP): the
// signal takes a while to reach them all, and until then they work on.
func Stopped(pid int) bool {
	threads, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", pid))
	for _, path := range threads {
		stat, err := os.ReadFile(path)
		if err != nil || !strings.Contains(string(stat), ") T ") {
			return false
		}
	}
	return len(threads) > 0
}
