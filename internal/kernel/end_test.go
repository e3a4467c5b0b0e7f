package kernel_test

import (
	"context"
	"math"
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
			s, err := k.Spool().Section(ergane.Stdout, ergane.Range{End: math.MaxInt64})
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

func TestTheDeathOfTheDriverIsReported(t *testing.T) {
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

func TestShutdownLetsTheKernelEndByItselfAndCanBeRepeated(t *testing.T) {
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
	s.DeadMan = 2 * time.Second // and six of them where a calculation runs
	server := holdLock(t, s.ServerLock)
	k := startSpec(t, s)
	marks := filepath.Join(s.Dir, "marks")
	exec(t, k, "one", "append "+marks+" in\nsleep 3s\nappend "+marks+" out")
	await(t, "the calculation runs", func() bool { return k.Spool() != nil && contains(marks, "in") })
	server.Release()
	<-k.Done()
	if !contains(marks, "out") {
		t.Error("the kernel was ended while a calculation ran")
	}
	if e := k.Exit(); e.Signal != int(syscall.SIGTERM) || e.Detail != "there was no server for 2s" {
		t.Errorf("exit %+v", e)
	}
}

func TestSpawnLogStaysSmall(t *testing.T) {
	t.Parallel()
	s := newSpec(t)
	s.DeadMan = 10 * time.Second // the shim checks every eighth of it
	holdLock(t, s.ServerLock)
	k := startSpec(t, s)
	log, err := os.OpenFile(filepath.Join(s.Dir, "spawn.log"), os.O_WRONLY|os.O_APPEND, 0)
	must(t, err)
	defer log.Close()
	for range 2 { // who has it open can fill it again
		_, err = log.WriteString(strings.Repeat("x", 200<<10))
		must(t, err)
		await(t, "the log is cut", func() bool {
			info, err := log.Stat()
			return err == nil && info.Size() <= 64<<10
		})
	}
	select {
	case <-k.Done():
		t.Error("the kernel has ended")
	default:
	}
}

func TestACalculationDoesNotKeepAKernelWithoutAServerForever(t *testing.T) {
	t.Parallel()
	s := newSpec(t)
	s.DeadMan = 200 * time.Millisecond
	server := holdLock(t, s.ServerLock)
	k := startSpec(t, s)
	exec(t, k, "one", "sleep 1h")
	await(t, "the calculation runs", func() bool { _, ok := k.Started("one"); return ok })
	server.Release()
	<-k.Done()
	if e := k.Exit(); e.Signal != int(syscall.SIGTERM) || e.Detail != "there was no server for 200ms" {
		t.Errorf("exit %+v", e)
	}
}

func contains(name, s string) bool {
	b, _ := os.ReadFile(name)
	return strings.Contains(string(b), s)
}
