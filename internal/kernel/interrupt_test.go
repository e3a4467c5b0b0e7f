package kernel_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/ergane-dev/ergane"
)

func TestAnInterruptCancelsWhatRuns(t *testing.T) {
	t.Parallel()
	k, dir := startStandIn(t)
	exec(t, k, "one", "print begun\nsleep 1h\nprint never")
	await(t, "the block sleeps", func() bool { return contains(filepath.Join(dir, "work", "stdout"), "begun") })
	if err := k.Interrupt(patience(t), "one"); err != nil {
		t.Fatal(err)
	}
	if o := wait(t, k, "one"); o.State != ergane.CalculationCanceled || o.Stdout.Len() != 6 {
		t.Errorf("outcome %+v", o)
	}
	if o := run(t, k, "two", "print on"); o.State != ergane.CalculationCompleted {
		t.Errorf("the next calculation: %+v", o)
	}
}

func TestAnInterruptBeforeTheStartTakesEffectAtTheStart(t *testing.T) {
	t.Parallel()
	k, dir := startStandIn(t)
	exec(t, k, "one", "sleep 1h")
	interrupted := make(chan error, 1)
	go func() { interrupted <- k.Interrupt(patience(t), "two") }()
	await(t, "the marker is there", func() bool {
		_, err := os.Stat(filepath.Join(dir, "work", "calc", "two", "interrupt"))
		return err == nil
	})
	if err := k.Interrupt(patience(t), "one"); err != nil {
		t.Fatal(err)
	}
	if o := run(t, k, "two", "print never"); o.State != ergane.CalculationCanceled || o.Stdout.Len() != 0 {
		t.Errorf("outcome %+v", o)
	}
	if err := <-interrupted; err != nil {
		t.Error(err)
	}
}

func TestAnInterruptThatComesTooLateHitsNothing(t *testing.T) {
	t.Parallel()
	k, dir := startStandIn(t)
	run(t, k, "one", "print done")
	if err := k.Interrupt(patience(t), "one"); err != nil {
		t.Errorf("Interrupt of what has ended: %v", err)
	}
	if _, err := os.Stat(filepath.Join(dir, "work", "calc", "one", "interrupt")); err == nil {
		t.Error("a marker is left")
	}
	if o := run(t, k, "two", "sleep 20ms\nprint on"); o.State != ergane.CalculationCompleted {
		t.Errorf("the next calculation: %+v", o)
	}
}

func TestAnInterruptWithoutEffectEndsWithItsContext(t *testing.T) {
	t.Parallel()
	k, dir := startStandIn(t)
	exec(t, k, "one", "append "+filepath.Join(dir, "in")+" 1\nstubborn 1h")
	pidIn(t, filepath.Join(dir, "in"))
	grace := errors.New("the grace period is over")
	ctx, cancel := context.WithTimeoutCause(t.Context(), 300*time.Millisecond, grace)
	defer cancel()
	if err := k.Interrupt(ctx, "one"); !errors.Is(err, grace) {
		t.Errorf("Interrupt: %v", err)
	}
	kill(k.PID())
	g := gone(t, k.Interrupt(patience(t), "one"))
	if g.Exit.Signal != 9 {
		t.Errorf("exit %+v", g.Exit)
	}
}

func TestInterruptsNeverHitTheNextCalculation(t *testing.T) {
	t.Parallel()
	k, _ := startStandIn(t)
	for i := range 100 {
		// The block ends by itself at about the time at which the interrupt comes.
		id, next := fmt.Sprintf("race-%d", i), fmt.Sprintf("next-%d", i)
		exec(t, k, id, fmt.Sprintf("sleep %dus", i%10*200))
		if err := k.Interrupt(patience(t), id); err != nil {
			t.Fatal(err)
		}
		if o := run(t, k, next, "sleep 1ms\nprint"); o.State != ergane.CalculationCompleted {
			t.Fatalf("round %d hit the next calculation: %+v", i, o)
		}
	}
}

// As on a full disk: nothing can be made in the calculation's folder.
func TestAnInterruptWithoutAMarkerIsOrderedByTheSocket(t *testing.T) {
	t.Parallel()
	k, dir := startStandIn(t)
	exec(t, k, "one", "print begun\nsleep 1h\nprint never")
	await(t, "the block sleeps", func() bool { return contains(filepath.Join(dir, "work", "stdout"), "begun") })
	folder, real := filepath.Join(dir, "work", "calc", "one"), filepath.Join(dir, "real")
	must(t, os.Rename(folder, real))
	must(t, os.Symlink(real, folder)) // the kernel follows the link, the server never does
	interrupted := make(chan error, 1)
	go func() { interrupted <- k.Interrupt(patience(t), "one") }()
	await(t, "the block has ended", func() bool {
		_, err := os.Stat(filepath.Join(real, "outcome.json"))
		return err == nil
	})
	must(t, os.Remove(folder))
	must(t, os.Rename(real, folder))
	must(t, <-interrupted)
	if o := wait(t, k, "one"); o.State != ergane.CalculationCanceled || o.Stdout.Len() != 6 {
		t.Errorf("outcome %+v", o)
	}
	if o := run(t, k, "two", "sleep 20ms\nprint on"); o.State != ergane.CalculationCompleted {
		t.Errorf("the next calculation: %+v", o)
	}
}
