package kernel_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ergane-dev/ergane"
	"github.com/ergane-dev/ergane/internal/kernel"
)

func TestACalculationsOutputIsItsRangeOfTheSpool(t *testing.T) {
	t.Parallel()
	k, _ := startStandIn(t)
	if err := k.Ready(patience(t)); err != nil {
		t.Fatal(err)
	}
	before := time.Now().Add(-time.Second)
	run(t, k, "one", "print first\nerr warning")
	o := run(t, k, "two", "print second\noutput {\"data\":{}}\nprint third")
	if o.State != ergane.CalculationCompleted || o.Reason != "" {
		t.Errorf("outcome %+v, want COMPLETED without a reason", o)
	}
	if o.StartedAt.Before(before) || o.EndedAt.Before(o.StartedAt) {
		t.Errorf("ran from %v to %v", o.StartedAt, o.EndedAt)
	}
	s, err := k.Spool().Section(ergane.Stdout, o.Stdout)
	if got := text(t, s, err); got != "second\nthird\n" {
		t.Errorf("stdout %q", got)
	}
	s, err = k.Spool().Section(ergane.Stderr, o.Stderr)
	if got := text(t, s, err); got != "" {
		t.Errorf("stderr %q, want nothing of the first calculation", got)
	}
	s, err = k.Spool().Outputs("two", o.Outputs)
	if got := text(t, s, err); got != "{\"data\":{}}\n" {
		t.Errorf("outputs %q", got)
	}
	if at, ok := k.Started("two"); !ok || at.Before(before) {
		t.Errorf("Started = %v, %v", at, ok)
	}
	if _, ok := k.Started("three"); ok {
		t.Error("a calculation that was never submitted has started")
	}
}

func TestAnExceptionIsAnOutcomeAndNotAnError(t *testing.T) {
	t.Parallel()
	k, _ := startStandIn(t)
	o := run(t, k, "one", "raise ValueError no such thing")
	if o.State != ergane.CalculationFailed || o.Reason != "ValueError: no such thing" {
		t.Errorf("outcome %+v", o)
	}
	if o := run(t, k, "two", "print on"); o.State != ergane.CalculationCompleted {
		t.Errorf("the next calculation: %+v", o)
	}
}

func TestExecutingTwiceRunsOnce(t *testing.T) {
	t.Parallel()
	k, dir := startStandIn(t)
	marks := filepath.Join(dir, "marks")
	code := "append " + marks + " x\nsleep 50ms"
	for range 3 {
		exec(t, k, "one", code)
	}
	wait(t, k, "one")
	exec(t, k, "one", code)
	run(t, k, "two", "print")
	if b, _ := os.ReadFile(marks); string(b) != "x\n" {
		t.Errorf("the code ran %d times", strings.Count(string(b), "x"))
	}
}

func TestExecWaitsForABusyKernel(t *testing.T) {
	t.Parallel()
	k, _ := startStandIn(t)
	exec(t, k, "one", "sleep 100ms")
	if o := run(t, k, "two", "print"); o.State != ergane.CalculationCompleted {
		t.Errorf("outcome %+v", o)
	}
}

func TestExecWaitsForSparkToStart(t *testing.T) {
	t.Parallel()
	s := newSpec(t)
	s.Boot.Env = map[string]string{"STANDIN_START": "slow 100ms"}
	k := startSpec(t, s)
	if o := run(t, k, "one", "print"); o.State != ergane.CalculationCompleted {
		t.Errorf("outcome %+v", o)
	}
}

func TestExecOfABusyKernelEndsWithItsContext(t *testing.T) {
	t.Parallel()
	k, _ := startStandIn(t)
	exec(t, k, "one", "sleep 1h")
	enough := errors.New("enough")
	ctx, cancel := context.WithTimeoutCause(t.Context(), 50*time.Millisecond, enough)
	defer cancel()
	if err := k.Exec(ctx, "two", "print"); !errors.Is(err, enough) {
		t.Errorf("Exec: %v", err)
	}
	if _, err := k.Wait(ctx, "one"); !errors.Is(err, enough) {
		t.Errorf("Wait: %v", err)
	}
}

func TestAKernelThatDoesNotAnswerIsSlowAndNotDead(t *testing.T) {
	t.Parallel()
	k, dir := startStandIn(t)
	exec(t, k, "one", "append "+filepath.Join(dir, "in")+" 1\ngil 1500ms")
	pidIn(t, filepath.Join(dir, "in"))
	// Deaf kernels are adopted, too.
	k.Detach()
	k, err := kernel.Adopt(patience(t), dir, token, nil)
	if err != nil {
		t.Fatal(err)
	}
	endAfter(t, k)
	if o := wait(t, k, "one"); o.State != ergane.CalculationCompleted {
		t.Errorf("outcome %+v", o)
	}
	if o := run(t, k, "two", "print"); o.State != ergane.CalculationCompleted {
		t.Errorf("the next calculation: %+v", o)
	}
}

func TestALostConnectionIsMadeAgain(t *testing.T) {
	t.Parallel()
	k, _ := startStandIn(t)
	for _, id := range []string{"a", "b", "c"} {
		if o := run(t, k, id, "hangup\nprint"); o.State != ergane.CalculationCompleted {
			t.Errorf("%s: %+v", id, o)
		}
	}
}

func TestExecutorsAndProgressAreRead(t *testing.T) {
	t.Parallel()
	k, _ := startStandIn(t)
	es, err := k.Executors(patience(t))
	if err != nil || len(es) != 1 || es[0].Name != "driver" || !es[0].Active ||
		es[0].AddedAt.UnixMilli() != 1700000000123 || !es[0].RemovedAt.IsZero() {
		t.Errorf("Executors = %+v, %v", es, err)
	}
	done, total, err := k.Progress(patience(t), "one")
	if done != 3 || total != 4 || err != nil {
		t.Errorf("Progress = %d of %d, %v", done, total, err)
	}
}

func TestAnOutcomeThatCannotBeWrittenIsReceivedByTheSocket(t *testing.T) {
	t.Parallel()
	k, _ := startStandIn(t)
	exec(t, k, "one", "print before\nunrecorded no space left on device")
	o := wait(t, k, "one")
	if o.Reason != "the kernel could not record the outcome: no space left on device" || o.State != ergane.CalculationFailed || o.Stdout.Len() != 7 {
		t.Errorf("outcome %+v", o)
	}
	<-k.Done()
	if e := k.Exit(); e.Code != 4 || !e.Known {
		t.Errorf("exit %+v", e)
	}
}

func TestInvalidIDsAreRefused(t *testing.T) {
	t.Parallel()
	k, _ := startStandIn(t)
	for _, id := range []string{"", ".", "../x", "a/b", "a\x00b", strings.Repeat("a", 65)} {
		if err := k.Exec(patience(t), id, ""); err == nil {
			t.Errorf("Exec took the id %q", id)
		}
		if err := k.Interrupt(patience(t), id); err == nil {
			t.Errorf("Interrupt took the id %q", id)
		}
	}
}
