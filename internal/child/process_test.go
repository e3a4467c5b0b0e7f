package child_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ergane-dev/ergane/internal/child"
)

// A sitter is a process that waits until its stdin is closed or it is killed.
type sitter struct {
	*exec.Cmd
	stdin io.Closer
	id    child.Identity
}

func sit(t *testing.T) *sitter {
	t.Helper()
	cmd := exec.Command("cat")
	stdin, err := cmd.StdinPipe()
	must(t, err)
	must(t, cmd.Start())
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	id, err := child.IdentityOf(cmd.Process.Pid)
	must(t, err)
	return &sitter{cmd, stdin, id}
}

func open(t *testing.T, id child.Identity) *child.Process {
	t.Helper()
	p, err := child.Open(id)
	must(t, err)
	t.Cleanup(p.Close)
	return p
}

// patience bounds the wait for an event.
func patience(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	return ctx
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestOnlyTheProcessItselfIsFoundByItsIdentity(t *testing.T) {
	t.Parallel()
	s := sit(t)
	other, otherBoot, noBoot, nobody := s.id, s.id, s.id, s.id
	other.Start-- // the process that had the number before
	otherBoot.BootID = "00000000-0000-0000-0000-000000000000"
	noBoot.BootID = ""
	nobody.PID = 0
	for name, tc := range map[string]struct {
		id    child.Identity
		alive bool
	}{
		"the process":                    {s.id, true},
		"one that had its number before": {other, false},
		"one of another boot":            {otherBoot, false},
		"one of a handle without a boot": {noBoot, true},
		"none":                           {nobody, false},
		"one with a number below zero":   {child.Identity{PID: -1, Start: s.id.Start}, false},
		"a number that nobody can have":  {child.Identity{PID: 1 << 30, Start: s.id.Start}, false},
	} {
		t.Run(name, func(t *testing.T) {
			if alive, err := tc.id.Alive(); alive != tc.alive || err != nil {
				t.Errorf("alive %v, %v; want %v", alive, err, tc.alive)
			}
			p, err := child.Open(tc.id)
			if err == nil {
				p.Close()
			}
			if tc.alive && err != nil || !tc.alive && !errors.Is(err, child.ErrGone) {
				t.Errorf("Open: %v", err)
			}
		})
	}
}

func TestAProcessThatHasEndedIsGoneReapedOrNot(t *testing.T) {
	t.Parallel()
	s := sit(t)
	p := open(t, s.id)
	must(t, p.Signal(syscall.SIGKILL))
	must(t, p.Wait(patience(t)))
	if alive, err := s.id.Alive(); alive || err != nil || !p.Dead() {
		t.Errorf("not reaped: alive %v, %v, dead %v", alive, err, p.Dead())
	}
	s.Cmd.Wait()
	if alive, err := s.id.Alive(); alive || err != nil || !p.Dead() {
		t.Errorf("reaped: alive %v, %v, dead %v", alive, err, p.Dead())
	}
	if err := p.Signal(syscall.SIGTERM); err != nil {
		t.Errorf("a signal to a process that has ended: %v", err)
	}
}

// The PID of a process that has ended may be the id of a thread now.
func TestAThreadIsNoProcess(t *testing.T) {
	t.Parallel()
	number, over := make(chan int), make(chan struct{})
	defer close(over)
	go func() {
		runtime.LockOSThread()
		number <- unix.Gettid()
		<-over
		runtime.UnlockOSThread()
	}()
	tid := <-number
	if tid == os.Getpid() {
		t.Skip("the goroutine has got the process's first thread")
	}
	st, err := child.ReadStat(tid)
	must(t, err)
	if alive, err := (child.Identity{PID: tid, Start: st.Start}).Alive(); alive || err != nil {
		t.Errorf("alive %v, %v", alive, err)
	}
}

func TestAWaitEndsWithItsContextAndCanBeRepeated(t *testing.T) {
	t.Parallel()
	s := sit(t)
	p := open(t, s.id)
	enough := errors.New("waited long enough")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(enough)
	if err := p.Wait(ctx); !errors.Is(err, enough) {
		t.Errorf("Wait: %v", err)
	}
	s.stdin.Close()
	must(t, p.Wait(patience(t)))
}

func TestAProcessThatDoesNotEndIsKilled(t *testing.T) {
	t.Parallel()
	s := sit(t)
	p := open(t, s.id)
	must(t, p.WaitOrKill(patience(t), time.Millisecond))
	p.Reap()
	if err := s.Cmd.Wait(); !errors.Is(err, syscall.ECHILD) {
		t.Errorf("it was not reaped: %v", err)
	}
}

func TestAProcessThatEndsInTimeIsNotKilled(t *testing.T) {
	t.Parallel()
	s := sit(t)
	p := open(t, s.id)
	s.stdin.Close()
	must(t, p.WaitOrKill(patience(t), time.Hour))
	if err := s.Cmd.Wait(); err != nil {
		t.Errorf("it ended by %v", err)
	}
}

func TestOnlyTheProcessThatWasMeantIsKilled(t *testing.T) {
	t.Parallel()
	s := sit(t)
	p := open(t, s.id)
	child.KillIf(s.id.PID, func() bool { return false })
	if p.Dead() {
		t.Fatal("another one was killed")
	}
	child.KillIf(s.id.PID, func() bool { return true })
	must(t, p.Wait(patience(t)))
}

// Older and newer versions read each other's handles.
func TestAnIdentityKeepsItsFormOnDisk(t *testing.T) {
	t.Parallel()
	b, err := json.Marshal(child.Identity{PID: 1, Start: 2, BootID: "x"})
	if want := `{"pid":1,"start":2,"boot_id":"x"}`; err != nil || string(b) != want {
		t.Errorf("got %s, %v; want %s", b, err, want)
	}
}

// Without descriptors a process cannot be looked for. This is tried with every
// number of free ones, in a process of its own.
func TestAProcessThatCannotBeLookedForIsNotGone(t *testing.T) {
	t.Parallel()
	s := sit(t)
	id, err := json.Marshal(s.id)
	must(t, err)
	self, err := os.Executable()
	must(t, err)
	cmd := exec.CommandContext(patience(t), self)
	cmd.Env = append(os.Environ(), "CHILD_LOOK_FOR="+string(id))
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v: %s", err, out)
	}
}
