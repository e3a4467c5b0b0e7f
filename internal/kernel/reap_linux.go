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
// to be a subreaper: what a killed child leaves becomes a child itself, so
// that the children are all there is to look at. Groups and Linux sessions do
// not matter. It returns how many it could not end.
//
// A kernel's own user ends all of a kind at once: what it has forked is found
// whoever its parent is, which a program that only forks cannot outrun. So
// does its control group, which nothing that it starts can leave.
func (s *shim) killDescendants() (left int) {
	deadline := time.Now().Add(killLimit)
	for wait := time.Millisecond / 4; ; wait = min(2*wait, 10*time.Millisecond) {
		if s.group != nil {
			s.group.Kill()
		}
		pids := children(os.Getpid())
		for _, pid := range pids {
			syscall.Kill(pid, syscall.SIGKILL) // ours and not reaped, so the number is theirs
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

// owns: the process has the kernel's user. While the shim holds the claim on
// that user, nobody else's process can have it.
func (s *shim) owns(pid int) bool {
	if s.in.Claim != "" {
		return sandbox.IsOf(pid, s.user)
	}
	return isUsersOwn(pid, s.user, sessionOf(s.in.Dir))
}
