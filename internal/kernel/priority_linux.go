package kernel

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// A kernel that warms up ahead of its session must not slow other sessions. Linux
// schedules processes of different login sessions by the nice value of their
// autogroup, if it has autogroups, and a shim and its kernel are a login session
// of their own; otherwise by the nice value of each thread, which only root can
// lower again.
const lowestPriority = 19

// yield gives this process, and all that it starts from now on, the lowest priority.
func yield() {
	os.WriteFile("/proc/self/autogroup", []byte(strconv.Itoa(lowestPriority)), 0) // not everywhere there
	if os.Geteuid() == 0 {
		unix.Setpriority(unix.PRIO_PROCESS, 0, lowestPriority)
	}
}

// hurry gives the kernel, and all that it has started, the usual priority again.
func (k *Kernel) hurry() {
	if k.oom.group != nil {
		k.oom.group.Yield(false)
	}
	name := fmt.Sprintf("/proc/%d/autogroup", k.handle.ShimPID)
	// Only root may set it at any time, others ten times a second on all of the machine.
	for wait := 10 * time.Millisecond; wait < time.Second; wait *= 2 {
		if err := os.WriteFile(name, []byte("0"), 0); !errors.Is(err, unix.EAGAIN) {
			break
		}
		pause(k.ctx, wait)
	}
	if os.Geteuid() != 0 {
		return
	}
	for range 3 { // a thread that was started meanwhile has the value of the thread that started it
		if raise(append(descendants(k.handle.ShimPID), k.handle.ShimPID)) == 0 {
			return
		}
	}
}

// raise sets threads without the usual priority to it, and returns how many there were.
func raise(pids []int) (found int) {
	for _, pid := range pids {
		tasks, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*", pid))
		for _, task := range tasks {
			tid, err := strconv.Atoi(filepath.Base(task))
			if err != nil {
				continue
			}
			// The system call answers 20 minus the nice value.
			if now, err := unix.Getpriority(unix.PRIO_PROCESS, tid); err == nil && now < 20 {
				unix.Setpriority(unix.PRIO_PROCESS, tid, 0)
				found++
			}
		}
	}
	return found
}
