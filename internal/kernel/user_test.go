package kernel_test

import (
	"fmt"
	"os"
	osexec "os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/ergane-dev/ergane/internal/flock"
	"github.com/ergane-dev/ergane/internal/kernel"
	"github.com/ergane-dev/ergane/internal/sandbox"
)

// testUser has no processes; other tests on this machine use other users.
const testUser = 79996

// A user is given to another session once the work folder of the session that had
// it is removed, and handles of ended sessions are read for days after that.
//
// Other servers also reuse a user whose processes have all ended: only the claim
// on a user says which session has it now.
func TestProcessesOfAUserAreKilledOnlyWhileTheSessionHasThatUser(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Log("this process gives its kernels no users")
		return
	}
	const there, notOurs = true, false
	for name, want := range map[string]bool{"discarded": notOurs, "not discarded": there, "claimed by another": notOurs, "in a group": notOurs} {
		t.Run(name, func(t *testing.T) {
			claims := filepath.Join(t.TempDir(), "users")
			s := newSpec(t)
			k := startSpec(t, s)
			h, err := os.ReadFile(filepath.Join(s.Dir, "handle.json"))
			must(t, err)
			must(t, unix.Kill(int(number(t, h, "shim_pid")), unix.SIGKILL)) // so that nothing is recorded
			<-k.Done()
			k.Detach()
			must(t, os.WriteFile(filepath.Join(s.Dir, "handle.json"), fmt.Appendf(h[:len(h)-1], `,"user":%d,"claim":"%s/%[1]d"}`, testUser, claims), 0o600))
			switch name {
			case "discarded":
				must(t, os.RemoveAll(filepath.Join(s.Dir, "work")))
			case "claimed by another":
				claim, err := sandbox.Claim(claims, testUser)
				must(t, err)
				defer claim.Release()
			case "in a group": // the group is gone with all processes in it
				must(t, os.WriteFile(filepath.Join(s.Dir, "group.json"), fmt.Appendf(nil, `{"v":1,"dirs":["%s/ergane-test/one"]}`, t.TempDir()), 0o600))
			}
			another := osexec.Command("sleep", "600")
			another.Env = []string{}
			another.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: testUser, Gid: testUser}}
			must(t, another.Start())
			defer another.Wait()
			defer another.Process.Kill()
			_, err = kernel.Adopt(patience(t), s.Dir, token, nil)
			gone(t, err)
			if killed := another.Process.Signal(syscall.Signal(0)) != nil || zombie(another.Process.Pid); killed != want {
				t.Errorf("the process of that user was killed: %t", killed)
			}
		})
	}
}

func TestTheClaimOnAUserIsHeldUntilTheShimEnds(t *testing.T) {
	t.Parallel()
	claims := filepath.Join(t.TempDir(), "users")
	claim, err := sandbox.Claim(claims, testUser)
	must(t, err)
	s := newSpec(t)
	s.Claim = claim
	k := startSpec(t, s)
	must(t, claim.File().Close())
	if pids, err := flock.Holders(filepath.Join(claims, fmt.Sprint(testUser))); err != nil || len(pids) != 1 || pids[0] != shimOf(t, s.Dir) {
		t.Errorf("the claim is held by %v, %v; want %d", pids, err, shimOf(t, s.Dir))
	}
	k.Shutdown(t.Context(), 0)
	claim, err = sandbox.Claim(claims, testUser)
	must(t, err)
	must(t, claim.Release())
}

// zombie reports whether a child has ended and was not waited for.
func zombie(pid int) bool {
	var ws unix.Siginfo
	err := unix.Waitid(unix.P_PID, pid, &ws, unix.WEXITED|unix.WNOHANG|unix.WNOWAIT, nil)
	return err == nil && ws.Signo != 0
}
