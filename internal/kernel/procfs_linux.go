package kernel

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/ergane-dev/ergane/internal/child"
	"github.com/ergane-dev/ergane/internal/sandbox"
)

// children lists the direct children of a process.
func children(pid int) []int {
	lists, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	if len(lists) == 0 { // a Linux without CONFIG_PROC_CHILDREN, or the process is gone
		return processes(func(_ int, st child.Stat) bool { return st.Parent == pid })
	}
	var pids []int
	for _, l := range lists {
		b, _ := os.ReadFile(l)
		for _, f := range strings.Fields(string(b)) {
			if pid, err := strconv.Atoi(f); err == nil {
				pids = append(pids, pid)
			}
		}
	}
	return pids
}

// descendants lists the children of a process, their children and so on. Processes
// that are started meanwhile may be missing.
func descendants(of int) (all []int) {
	below := map[int][]int{}
	processes(func(pid int, st child.Stat) bool {
		below[st.Parent] = append(below[st.Parent], pid)
		return false
	})
	for next := below[of]; len(next) > 0; {
		pid := next[0]
		all, next = append(all, pid), append(next[1:], below[pid]...)
		delete(below, pid)
	}
	return all
}

// processes lists every process for which want is true.
func processes(want func(pid int, st child.Stat) bool) []int {
	d, err := os.Open("/proc")
	if err != nil {
		return nil
	}
	defer d.Close()
	names, _ := d.Readdirnames(-1)
	var pids []int
	for _, name := range names {
		pid, err := strconv.Atoi(name)
		if err != nil {
			continue
		}
		if st, err := child.ReadStat(pid); err == nil && want(pid, st) {
			pids = append(pids, pid)
		}
	}
	return pids
}

// sessionVariable is in the environment of every kernel and so, unless user
// code removes it, of everything a kernel starts.
const sessionVariable = "ERGANE_SESSION"

// stragglers finds the processes that a kernel has left after its shim was killed.
func stragglers(h Handle, dir, sessionID string) []int {
	return processes(func(pid int, st child.Stat) bool { return isStraggler(h, dir, sessionID, pid, st) })
}

// isStraggler: the process has the kernel's own user, or carries the session's
// id in its environment, or is in the shim's Linux session and works in the session's folder.
func isStraggler(h Handle, dir, sessionID string, pid int, st child.Stat) bool {
	if pid == os.Getpid() || pid == h.ShimPID || st.Start < h.ShimStart || st.Zombie {
		return false
	}
	if h.User != 0 && isUsersOwn(pid, h.User, sessionID) {
		return true
	}
	if hasEnv(pid, sessionVariable+"="+sessionID) {
		return true
	}
	cwd, err := os.Readlink(fmt.Sprintf("/proc/%d/cwd", pid))
	return st.Session == h.ShimPID && err == nil && strings.HasPrefix(cwd, dir+"/")
}

// isUsersOwn: the process has the session's user and does not belong to another
// session. Once the last process of a user is gone, another server on this machine
// may give that user to one of its sessions.
func isUsersOwn(pid, user int, sessionID string) bool {
	if !sandbox.IsOf(pid, user) {
		return false
	}
	return hasEnv(pid, sessionVariable+"="+sessionID) || !hasEnv(pid, sessionVariable+"=")
}

// hasEnv: the environment has mark, which is NAME=VALUE, or NAME= for any value.
func hasEnv(pid int, mark string) bool {
	f, err := os.Open(fmt.Sprintf("/proc/%d/environ", pid))
	if err != nil {
		return false
	}
	defer f.Close()
	b, _ := io.ReadAll(io.LimitReader(f, 1<<20))
	b = slices.Concat([]byte{0}, b, []byte{0})
	if strings.HasSuffix(mark, "=") { // any value
		return bytes.Contains(b, []byte("\x00"+mark))
	}
	return bytes.Contains(b, []byte("\x00"+mark+"\x00"))
}
