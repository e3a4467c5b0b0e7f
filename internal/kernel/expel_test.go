package kernel_test

import (
	"errors"
	"fmt"
	"os"
	osexec "os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"testing/synctest"

	"github.com/ergane-dev/ergane"
	"github.com/ergane-dev/ergane/internal/flock"
	"github.com/ergane-dev/ergane/internal/kernel"
)

// leftBehind starts a kernel with a child and detaches from it.
func leftBehind(t *testing.T) (dir string, child int) {
	t.Helper()
	k, dir := startStandIn(t)
	left := filepath.Join(dir, "left")
	run(t, k, "one", "spawn echo $$ > "+left+"; while :; do sleep 1000; done")
	child = pidIn(t, left)
	k.Detach()
	return dir, child
}

func TestExpelEndsAKernelWhateverItsFilesSay(t *testing.T) {
	t.Parallel()
	for name, harm := range map[string]func(t *testing.T, dir string){
		"in order":         func(*testing.T, string) {},
		"no handle":        func(t *testing.T, dir string) { must(t, os.Remove(filepath.Join(dir, "handle.json"))) },
		"a damaged handle": func(t *testing.T, dir string) { must(t, os.WriteFile(filepath.Join(dir, "handle.json"), nil, 0o600)) },
		"a damaged group":  func(t *testing.T, dir string) { must(t, os.WriteFile(filepath.Join(dir, "group.json"), nil, 0o600)) },
		"a shim that stands still": func(t *testing.T, dir string) {
			must(t, syscall.Kill(shimOf(t, dir), syscall.SIGSTOP))
		},
		"the shim is dead": func(t *testing.T, dir string) { kill(shimOf(t, dir)) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir, child := leftBehind(t)
			shim := shimOf(t, dir)
			harm(t, dir)
			must(t, kernel.Expel(t.Context(), dir, nil))
			if left := processesOf(dir); len(left) > 0 || alive(child) || alive(shim) {
				t.Errorf("left: %v, the child %t, the shim %t", left, alive(child), alive(shim))
			}
			if held, err := flock.Held(filepath.Join(dir, "lock")); held || err != nil {
				t.Errorf("the lock is held: %t, %v", held, err)
			}
			must(t, kernel.Expel(t.Context(), dir, nil))
		})
	}
	must(t, kernel.Expel(t.Context(), filepath.Join(t.TempDir(), "missing"), nil))
}

// A process that has the lock and will never write a handle must not make Adopt
// wait forever, and can be ended.
func TestALockThatIsHeldWithoutAHandleIsNoReasonToWaitForever(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "sessions", "00000000-0000-4000-8000-00000000ffff")
	must(t, os.MkdirAll(filepath.Join(dir, "work"), 0o700))
	lock := filepath.Join(dir, "lock")
	l, err := flock.Acquire(lock)
	must(t, err)
	synctest.Test(t, func(t *testing.T) {
		if _, err := kernel.Adopt(t.Context(), dir, token, nil); !errors.Is(err, kernel.ErrLost) {
			t.Errorf("Adopt: %v", err)
		}
	})
	holder := osexec.Command("sleep", "600")
	holder.ExtraFiles = []*os.File{l.File()}
	must(t, holder.Start())
	defer holder.Process.Kill()
	l.File().Close() // the holder has it
	ended := make(chan error, 1)
	go func() { ended <- holder.Wait() }()
	must(t, kernel.Expel(patience(t), dir, nil))
	if err := <-ended; err == nil {
		t.Error("the holder ended by itself")
	}
	if _, err := kernel.Adopt(patience(t), dir, token, nil); !errors.Is(err, kernel.ErrNotStarted) {
		t.Errorf("Adopt: %v", err)
	}
}

func TestADamagedHandleIsReported(t *testing.T) {
	t.Parallel()
	dir, _ := leftBehind(t)
	must(t, os.WriteFile(filepath.Join(dir, "handle.json"), []byte("{"), 0o600))
	if _, err := kernel.Adopt(patience(t), dir, token, nil); !errors.Is(err, kernel.ErrLost) {
		t.Errorf("Adopt: %v", err)
	}
	must(t, kernel.Expel(patience(t), dir, nil))
}

// The disk blocks of the existing file are enough to adopt a kernel.
func TestAKernelIsAdoptedWhereNoFileCanBeMade(t *testing.T) {
	t.Parallel()
	k, dir := startStandIn(t)
	k.Detach()
	must(t, os.MkdirAll(filepath.Join(dir, ".epoch.json.tmp", "full"), 0o700)) // so that a new file cannot be made
	for i := range 3 {
		a, err := kernel.Adopt(patience(t), dir, token, nil)
		must(t, err)
		endAfter(t, a)
		id := fmt.Sprintf("calc-%d", i)
		if o := run(t, a, id, "print"); o.State != ergane.CalculationCompleted {
			t.Errorf("outcome %+v", o)
		}
		a.Detach()
	}
	must(t, os.RemoveAll(filepath.Join(dir, ".epoch.json.tmp")))
	a, err := kernel.Adopt(patience(t), dir, token, nil)
	must(t, err)
	endAfter(t, a)
	if o := run(t, a, "last", "print"); o.State != ergane.CalculationCompleted {
		t.Errorf("outcome %+v", o)
	}
}

func TestAKernelWithADamagedEpochIsAdopted(t *testing.T) {
	t.Parallel()
	k, dir := startStandIn(t)
	run(t, k, "one", "print")
	k.Detach()
	must(t, os.WriteFile(filepath.Join(dir, "epoch.json"), []byte("{"), 0o600))
	for _, id := range []string{"two", "three"} {
		a, err := kernel.Adopt(patience(t), dir, token, nil)
		must(t, err)
		endAfter(t, a)
		if o := run(t, a, id, "print"); o.State != ergane.CalculationCompleted {
			t.Errorf("outcome %+v", o)
		}
		a.Detach()
	}
	must(t, kernel.Expel(patience(t), dir, nil))
}
