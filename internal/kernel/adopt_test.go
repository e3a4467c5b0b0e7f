package kernel_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ergane-dev/ergane"
	"github.com/ergane-dev/ergane/internal/kernel"
)

func TestAKernelOutlivesItsServerAndIsAdopted(t *testing.T) {
	t.Parallel()
	k, dir := startStandIn(t)
	pid := k.PID()
	exec(t, k, "one", "sleep 30ms\nprint late")
	k.Detach()
	if _, err := k.Wait(patience(t), "one"); !errors.Is(err, kernel.ErrDetached) {
		t.Errorf("Wait after Detach: %v", err)
	}
	for range 3 {
		a, err := kernel.Adopt(patience(t), dir, token, nil)
		if err != nil {
			t.Fatal(err)
		}
		if a.PID() != pid {
			t.Errorf("adopted process %d, want %d", a.PID(), pid)
		}
		if o := wait(t, a, "one"); o.State != ergane.CalculationCompleted {
			t.Errorf("outcome %+v", o)
		}
		if _, err := a.Executors(patience(t)); err != nil {
			t.Errorf("Executors: %v", err)
		}
		a.Detach()
	}
	last, err := kernel.Adopt(patience(t), dir, token, nil)
	if err != nil {
		t.Fatal(err)
	}
	if e := last.Shutdown(patience(t), time.Minute); !e.Known || e.Code != 0 || e.Signal != 0 {
		t.Errorf("exit %+v", e)
	}
	last.Detach()
	_, err = kernel.Adopt(patience(t), dir, token, nil)
	if g := gone(t, err); !g.Exit.Known {
		t.Errorf("Adopt of an ended kernel: %v", err)
	}
}

func TestAdoptCleansUpAfterAKilledShim(t *testing.T) {
	t.Parallel()
	k, dir := startStandIn(t)
	left := filepath.Join(dir, "left")
	run(t, k, "one", "spawn echo $$ > "+left+"; while :; do sleep 1000; done")
	pid, shim := pidIn(t, left), shimOf(t, dir)
	k.Detach()
	kill(shim)
	a, err := kernel.Adopt(patience(t), dir, token, nil)
	if err == nil { // it had not ended yet
		<-a.Done()
		a.Detach()
		_, err = kernel.Adopt(patience(t), dir, token, nil)
	}
	if g := gone(t, err); g.Exit.Known {
		t.Errorf("exit %+v", g.Exit)
	}
	if alive(pid) {
		t.Error("a child of the kernel is alive")
	}
}

func TestAdoptSaysWhatIsMissing(t *testing.T) {
	t.Parallel()
	s := newSpec(t)
	if _, err := kernel.Adopt(patience(t), s.Dir, token, nil); !errors.Is(err, kernel.ErrNotStarted) {
		t.Errorf("Adopt without a folder: %v", err)
	}
	if err := os.MkdirAll(filepath.Join(s.Dir, "work"), 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := kernel.Adopt(patience(t), s.Dir, token, nil); !errors.Is(err, kernel.ErrNotStarted) {
		t.Errorf("Adopt of an empty folder: %v", err)
	}
	k := startSpec(t, s)
	handle := filepath.Join(s.Dir, "handle.json")
	b, err := os.ReadFile(handle)
	if err != nil {
		t.Fatal(err)
	}
	rewrite := func(old, new string) {
		c := bytes.Replace(b, []byte(old), []byte(new), 1)
		if bytes.Equal(b, c) {
			t.Fatalf("%q is not in %s", old, b)
		}
		if err := os.WriteFile(handle, c, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	rewrite(`"boot_id":"`, `"boot_id":"x`)
	if _, err := kernel.Adopt(patience(t), s.Dir, token, nil); !errors.Is(err, kernel.ErrRebooted) {
		t.Errorf("Adopt after a restart of the machine: %v", err)
	}
	rewrite(`{"v":1`, `{"v":2`)
	if _, err := kernel.Adopt(patience(t), s.Dir, token, nil); err == nil {
		t.Error("Adopt took a handle of a version it does not know")
	}
	rewrite(`{"v":1`, `{"v":1`+strings.Repeat(" ", 1<<20))
	if _, err := kernel.Adopt(patience(t), s.Dir, token, nil); err == nil {
		t.Error("Adopt read an endless handle")
	}
	_ = k
}

func TestAnotherProcessWithTheKernelsPIDIsNotAdopted(t *testing.T) {
	t.Parallel()
	k, dir := startStandIn(t)
	k.Shutdown(patience(t), time.Minute)
	handle := filepath.Join(dir, "handle.json")
	b, _ := os.ReadFile(handle)
	// As if our own pid had been the kernel's and the shim's.
	h := map[string]string{"pid": itoa(number(t, b, "pid")), "shim_pid": itoa(number(t, b, "shim_pid"))}
	for field, old := range h {
		b = bytes.Replace(b, []byte(`"`+field+`":`+old), []byte(`"`+field+`":`+itoa(int64(os.Getpid()))), 1)
	}
	if err := os.WriteFile(handle, b, 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := kernel.Adopt(patience(t), dir, token, nil)
	gone(t, err)
}

func TestAnOlderServerLosesTheKernel(t *testing.T) {
	t.Parallel()
	old, dir := startStandIn(t)
	newer, err := kernel.Adopt(patience(t), dir, token, nil)
	if err != nil {
		t.Fatal(err)
	}
	endAfter(t, newer)
	if o := run(t, newer, "one", "print"); o.State != ergane.CalculationCompleted {
		t.Fatalf("outcome %+v", o)
	}
	if err := old.Exec(patience(t), "two", "print"); !errors.Is(err, kernel.ErrFenced) {
		t.Errorf("Exec by the older server: %v", err)
	}
	if o := wait(t, old, "one"); o.State != ergane.CalculationCompleted {
		t.Errorf("the older server cannot read: %+v", o)
	}
}
