package kernel_test

import (
	"fmt"
	"os"
	osexec "os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/ergane-dev/ergane/internal/kernel"
)

// testUser belongs to nobody; other tests on this machine have others.
const testUser = 79996

// A user's number is given out again once the work folder of the session that
// had it is gone, and old folders are looked at for days after that.
func TestAFolderThatWasDiscardedClaimsNoProcessOfItsUser(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Log("this process gives its kernels no users")
		return
	}
	for name, there := range map[string]bool{"discarded": false, "not discarded": true} {
		t.Run(name, func(t *testing.T) {
			s := newSpec(t)
			k := startSpec(t, s)
			h, err := os.ReadFile(filepath.Join(s.Dir, "handle.json"))
			must(t, err)
			must(t, unix.Kill(int(number(t, h, "shim_pid")), unix.SIGKILL)) // so that nothing is recorded
			<-k.Done()
			k.Detach()
			must(t, os.WriteFile(filepath.Join(s.Dir, "handle.json"), fmt.Appendf(h[:len(h)-1], `,"user":%d}`, testUser), 0o600))
			if !there {
				must(t, os.RemoveAll(filepath.Join(s.Dir, "work")))
			}
			another := osexec.Command("sleep", "600")
			another.Env = []string{}
			another.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: testUser, Gid: testUser}}
			must(t, another.Start())
			defer another.Wait()
			defer another.Process.Kill()
			_, err = kernel.Adopt(patience(t), s.Dir, token, nil)
			gone(t, err)
			if killed := another.Process.Signal(syscall.Signal(0)) != nil || zombie(another.Process.Pid); killed != there {
				t.Errorf("the process of that user was killed: %t", killed)
			}
		})
	}
}

// zombie tells whether a child has ended and was not waited for.
func zombie(pid int) bool {
	var ws unix.Siginfo
	err := unix.Waitid(unix.P_PID, pid, &ws, unix.WEXITED|unix.WNOHANG|unix.WNOWAIT, nil)
	return err == nil && ws.Signo != 0
}
