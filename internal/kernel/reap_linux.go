package kernel

import (
	"errors"
	"os"
	"syscall"
	"time"

	"github.com/ergane-dev/ergane/internal/child"
	"github.com/ergane-dev/ergane/internal/sandbox"
)

// killLimit is how long a shim tries to end what its kernel has left.
const killLimit = 8 * time.Second

// killDescendants kills and reaps every descendant of this process, which has
// to be a subreaper: the children of a killed child become its own children, so
// it is enough to look at children. Process groups and Linux sessions do not
// matter. It returns how many it could not end.
//
// If the kernel has its own user, all processes of that user are killed at once,
// whoever their parent is: a program that forks all the time cannot escape that.
// The same is true of a control group, which no process can leave.
func (s *shim) killDescendants() (left int) {
	deadline := time.Now().Add(killLimit)
	for wait := time.Millisecond / 4; ; wait = min(2*wait, 10*time.Millisecond) {
		if s.group != nil {
			s.group.Kill()
		}
		pids := children(os.Getpid())
		for _, pid := range pids {
			syscall.Kill(pid, syscall.SIGKILL) // our child and not reaped, so the pid is not reused
		}
		if s.user != 0 {
			for _, pid := range sandbox.ProcessesOf(s.user) {
				child.KillIf(pid, func() bool { return s.owns(pid) })
			}
		}
		for {
			pid, err := syscall.Wait4(-1, nil, syscall.WNOHANG, nil)
			if errors.Is(err, syscall.ECHILD) {
				return 0
			}
			if pid <= 0 && !errors.Is(err, syscall.EINTR) {
				break
			}
		}
		if time.Now().After(deadline) {
			return len(pids)
		}
		time.Sleep(wait)
	}
}

// owns: the process has the kernel's user. While the shim holds the claim on that
// user, no process of another session has it.
func (s *shim) owns(pid int) bool {
	if s.in.Claim != "" {
		return sandbox.IsOf(pid, s.user)
	}
	return isUsersOwn(pid, s.user, sessionOf(s.in.Dir))
}
