package sandbox

import (
	"fmt"
	"net"
	"os"
	"strconv"
	"syscall"
)

// Claim takes a user for this process alone, among all of the machine, until
// release is called. It is for the time in which no process has the user yet.
func Claim(user int) (release func(), err error) {
	// A name that the kernel gives to one, and takes back when that one dies.
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: "@ergane-user-" + strconv.Itoa(user), Net: "unix"})
	if err != nil {
		return nil, fmt.Errorf("claim user %d: %w", user, err)
	}
	return func() { l.Close() }, nil
}

// Busy tells whether a process on this machine has the user.
func Busy(user int) bool { return len(ProcessesOf(user)) > 0 }

// ProcessesOf lists the processes of a user.
func ProcessesOf(user int) (pids []int) {
	d, err := os.Open("/proc")
	if err != nil {
		return nil
	}
	defer d.Close()
	names, _ := d.Readdirnames(-1)
	for _, name := range names {
		if pid, err := strconv.Atoi(name); err == nil && IsOf(pid, user) {
			pids = append(pids, pid)
		}
	}
	return pids
}

// IsOf tells whether a process has the user.
func IsOf(pid, user int) bool {
	var st syscall.Stat_t
	return syscall.Stat("/proc/"+strconv.Itoa(pid), &st) == nil && int(st.Uid) == user
}
