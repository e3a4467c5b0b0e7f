package kernel_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/ergane-dev/ergane"
	"github.com/ergane-dev/ergane/internal/flock"
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

func TestTheWayAKernelEndsIsRecorded(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		code, want string
	}{
		"by itself":    {"exit 7", "exited with status 7"},
		"killed":       {"kill 9", "was killed by signal 9 (killed)"},
		"asked to end": {"kill 15", "was killed by signal 15 (terminated)"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			k, dir := startStandIn(t)
			exec(t, k, "one", "print kept\n"+tc.code)
			_, err := k.Wait(patience(t), "one")
			g := gone(t, err)
			if got := g.Exit.String(); got != tc.want || !g.Started {
				t.Errorf("exit %q, started %v; want %q, started", got, g.Started, tc.want)
			}
			s, err := k.Spool().ReadLive(kernel.Stdout, 0)
			if got := text(t, s, err); got != "kept\n" {
				t.Errorf("stdout %q", got)
			}
			if err := k.Exec(patience(t), "two", "print"); gone(t, err).Exit != g.Exit {
				t.Errorf("Exec of a dead kernel: %v", err)
			}
			_, err = k.Wait(patience(t), "two")
			if gone(t, err).Started {
				t.Error("a calculation has started in a dead kernel")
			}
			k.Detach()
			_, err = kernel.Adopt(patience(t), dir, token, nil)
			if gone(t, err).Exit != g.Exit {
				t.Errorf("Adopt: %v", err)
			}
			if e, err := kernel.ReadExit(dir); err != nil || e != g.Exit {
				t.Errorf("ReadExit = %+v, %v", e, err)
			}
		})
	}
}

func TestNothingOfAnEndedKernelLivesOn(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(k *kernel.Kernel, shim int){
		"after Shutdown":               func(k *kernel.Kernel, _ int) { k.Shutdown(context.Background(), time.Second) },
		"after Shutdown without grace": func(k *kernel.Kernel, _ int) { k.Shutdown(context.Background(), 0) },
		"after the kernel was killed":  func(k *kernel.Kernel, _ int) { kill(k.PID()) },
		"after the shim was told to stop": func(_ *kernel.Kernel, shim int) {
			syscall.Kill(shim, syscall.SIGTERM)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			k, dir := startStandIn(t)
			a, b := filepath.Join(dir, "a"), filepath.Join(dir, "b")
			run(t, k, "one", "spawn echo $$ > "+a+"; trap '' INT TERM HUP; while :; do sleep 1000; done\n"+
				"escape echo $$ > "+b+"; trap '' INT TERM HUP; while :; do sleep 1000; done")
			pids := []int{pidIn(t, a), pidIn(t, b), k.PID(), shimOf(t, dir)}
			end(k, shimOf(t, dir))
			<-k.Done()
			for _, pid := range pids {
				if alive(pid) {
					t.Errorf("process %d of %v is alive", pid, pids)
					kill(pid)
				}
			}
			if held, err := flock.Held(filepath.Join(dir, "lock")); held || err != nil {
				t.Errorf("the session's lock: held %v, %v", held, err)
			}
		})
	}
}

func shimOf(t *testing.T, dir string) int {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(dir, "handle.json"))
	if err != nil {
		t.Fatal(err)
	}
	return int(number(t, b, "shim_pid"))
}

func TestAKilledShimTakesTheKernelWithIt(t *testing.T) {
	t.Parallel()
	k, dir := startStandIn(t)
	left := filepath.Join(dir, "left")
	run(t, k, "one", "spawn echo $$ > "+left+"; while :; do sleep 1000; done")
	pid := pidIn(t, left)
	kill(shimOf(t, dir))
	<-k.Done()
	if e := k.Exit(); e.Known || !strings.Contains(e.String(), "without leaving a record") {
		t.Errorf("exit %+v", e)
	}
	if alive(k.PID()) || alive(pid) {
		t.Error("the kernel or its child is alive")
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
	if err == nil { // it was still dying
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

func TestAStartThatFailsLeavesNothing(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken off")
	for name, tc := range map[string]struct {
		change func(*kernel.Spec)
		want   string
	}{
		"no such program":          {func(s *kernel.Spec) { s.Argv = []string{"/no/such/python"} }, "start /no/such/python: no such file or directory"},
		"no such shim":             {func(s *kernel.Spec) { s.Shim = []string{"/no/such/ergane"} }, "/no/such/ergane"},
		"a shim that says nothing": {func(s *kernel.Spec) { s.Shim = []string{"true"} }, "the shim says nothing"},
		"a program that ends at once": {func(s *kernel.Spec) { s.Argv = []string{"/bin/sh", "-c", "echo no module named x >&2; exit 1"} },
			"the kernel exited with status 1: no module named x"},
		"a kernel that never listens": {func(s *kernel.Spec) { s.Boot.Env = map[string]string{"STANDIN_START": "mute"} }, broken.Error()},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSpec(t)
			tc.change(&s)
			ctx, cancel := context.WithTimeoutCause(t.Context(), 2*time.Second, broken)
			defer cancel()
			_, err := kernel.Start(ctx, s)
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("Start: %v, want %q", err, tc.want)
			}
			if left := processesOf(s.Dir); len(left) > 0 {
				t.Errorf("left behind: %v", left)
			}
			if held, _ := flock.Held(filepath.Join(s.Dir, "lock")); held {
				t.Error("the session's lock is held")
			}
		})
	}
}

func TestAStartedFolderIsNotStartedAgain(t *testing.T) {
	t.Parallel()
	s := newSpec(t)
	startSpec(t, s)
	if _, err := kernel.Start(patience(t), s); err == nil || !strings.Contains(err.Error(), "started in") {
		t.Errorf("second Start: %v", err)
	}
}

func TestSparksRefusalIsTold(t *testing.T) {
	t.Parallel()
	s := newSpec(t)
	s.Boot.Env = map[string]string{"STANDIN_START": "refuse IllegalArgumentException spark.x must be positive"}
	k, err := kernel.Start(t.Context(), s)
	if err == nil { // otherwise Spark was quicker than hello
		endAfter(t, k)
		err = k.Ready(patience(t))
	}
	refusal, ok := errors.AsType[*kernel.SparkError](err)
	if !ok || refusal.Name != "IllegalArgumentException" || refusal.Value != "spark.x must be positive" {
		t.Errorf("Ready: %v", err)
	}
}

func TestAdoptTellsWhatIsNotThere(t *testing.T) {
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

func TestAnotherProcessWithTheKernelsNumberIsNotAdopted(t *testing.T) {
	t.Parallel()
	k, dir := startStandIn(t)
	k.Shutdown(patience(t), time.Minute)
	handle := filepath.Join(dir, "handle.json")
	b, _ := os.ReadFile(handle)
	// As if our own number had been the kernel's and the shim's.
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

func TestTheDriversDeathIsTold(t *testing.T) {
	t.Parallel()
	k, _ := startStandIn(t)
	run(t, k, "one", "print")
	select {
	case <-k.DriverDied():
		t.Fatal("the driver has died early")
	default:
	}
	run(t, k, "two", "driver 137 9")
	<-k.DriverDied()
	if e := k.DriverExit(); e.Signal != 9 || e.Code != 137 {
		t.Errorf("DriverExit = %+v", e)
	}
}

func TestShutdownIsPoliteAndCanBeRepeated(t *testing.T) {
	t.Parallel()
	k, _ := startStandIn(t)
	exec(t, k, "one", "sleep 1h")
	exits := make(chan ergane.Exit, 3)
	for range cap(exits) {
		go func() { exits <- k.Shutdown(context.Background(), time.Minute) }()
	}
	for range cap(exits) {
		if e := <-exits; !e.Known || e.Code != 0 || e.Signal != 0 {
			t.Errorf("exit %+v, want status 0", e)
		}
	}
	if o := wait(t, k, "one"); o.State != ergane.CalculationCanceled {
		t.Errorf("what ran at Shutdown: %+v, want CANCELED", o)
	}
}

func TestShutdownEndsADeafKernel(t *testing.T) {
	t.Parallel()
	k, dir := startStandIn(t)
	exec(t, k, "one", "append "+filepath.Join(dir, "in")+" 1\ngil 1h")
	pidIn(t, filepath.Join(dir, "in"))
	if e := k.Shutdown(patience(t), 100*time.Millisecond); e.Signal != int(syscall.SIGTERM) {
		t.Errorf("exit %+v", e)
	}
}

func TestAKernelWithoutAServerEnds(t *testing.T) {
	t.Parallel()
	s := newSpec(t)
	s.DeadMan = 200 * time.Millisecond
	server := holdLock(t, s.ServerLock)
	k := startSpec(t, s)
	marks := filepath.Join(s.Dir, "marks")
	exec(t, k, "one", "append "+marks+" in\nsleep 1s\nappend "+marks+" out")
	await(t, "the calculation runs", func() bool { return k.Spool() != nil && contains(marks, "in") })
	server.Release()
	<-k.Done()
	if !contains(marks, "out") {
		t.Error("the kernel was ended while a calculation ran")
	}
	if e := k.Exit(); e.Signal != int(syscall.SIGTERM) || e.Detail != "no server came for it within 200ms" {
		t.Errorf("exit %+v", e)
	}
}

func contains(name, s string) bool {
	b, _ := os.ReadFile(name)
	return strings.Contains(string(b), s)
}

func TestLongPathsWork(t *testing.T) {
	t.Parallel()
	s := newSpec(t)
	base := filepath.Base(s.Dir)
	s.Dir = filepath.Join(filepath.Dir(s.Dir), strings.Repeat("long-", 40), strings.Repeat("path-", 40), base)
	k := startSpec(t, s)
	if o := run(t, k, "one", "print"); o.State != ergane.CalculationCompleted {
		t.Errorf("outcome %+v", o)
	}
	k.Detach()
	k, err := kernel.Adopt(patience(t), s.Dir, token, nil)
	if err != nil {
		t.Fatal(err)
	}
	endAfter(t, k)
	run(t, k, "two", "print")
}

func TestTheDriversOutputGoesToTheSessionLog(t *testing.T) {
	t.Parallel()
	s := newSpec(t)
	s.Boot.Env = map[string]string{"STANDIN_START": "log WARN from the driver"}
	startSpec(t, s)
	log, err := kernel.OpenLog(s.Dir)
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	var got bytes.Buffer
	await(t, "the line is in the log", func() bool {
		io.Copy(&got, log)
		return got.String() == "WARN from the driver\n"
	})
}

func TestNoSecretIsInAProcessListOrOnDisk(t *testing.T) {
	t.Parallel()
	s := newSpec(t)
	s.Boot.Env = map[string]string{"AWS_SECRET_ACCESS_KEY": "the-secret-key"}
	k := startSpec(t, s)
	run(t, k, "one", "print")
	for _, pid := range []int{k.PID(), shimOf(t, s.Dir)} {
		for _, f := range []string{"cmdline", "environ"} {
			b, err := os.ReadFile(filepath.Join("/proc", itoa(int64(pid)), f))
			if err != nil {
				t.Fatal(err)
			}
			if bytes.Contains(b, []byte(token)) || bytes.Contains(b, []byte("the-secret-key")) {
				t.Errorf("a secret is in %s of process %d", f, pid)
			}
		}
	}
	filepath.WalkDir(s.Dir, func(name string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		st, _ := d.Info()
		if st.Mode().IsRegular() && st.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %v", name, st.Mode())
		}
		if contains(name, token) || contains(name, "the-secret-key") {
			t.Errorf("a secret is in %s", name)
		}
		return nil
	})
}

func TestWhatTheServerInheritedDoesNotReachTheKernel(t *testing.T) {
	// Not parallel: every process that another test starts would inherit it, too.
	dir := t.TempDir()
	l, err := flock.Acquire(filepath.Join(dir, "inherited"))
	if err != nil {
		t.Fatal(err)
	}
	fd, err := syscall.Dup(int(l.File().Fd())) // without close-on-exec, as from a careless parent
	if err != nil {
		t.Fatal(err)
	}
	k, _ := startStandIn(t)
	l.File().Close()
	syscall.Close(fd)
	if held, err := flock.Held(filepath.Join(dir, "inherited")); held || err != nil {
		t.Errorf("the kernel or its shim holds a lock of the server's: %v, %v", held, err)
	}
	_ = k
}
