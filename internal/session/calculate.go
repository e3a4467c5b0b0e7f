package session

import (
	"context"
	"fmt"
	"time"

	"github.com/ergane-dev/ergane"
)

// showRunning is how long a calculation may take before RUNNING is worth a
// write of its own; shorter ones go from CREATING to their end.
const showRunning = 20 * time.Millisecond

// terminateGrace is the interrupt grace while the session is being terminated.
const terminateGrace = 5 * time.Second

// run is one calculation on its way.
type run struct {
	*runner
	k Kernel
	c ergane.Calculation

	stopping bool             // the interrupt was ordered
	limit    string           // the limit that the calculation broke, in a sentence
	killed   string           // why we killed the kernel
	grace    <-chan time.Time // fires when the interrupt has had its time
}

// calculate runs a calculation to its end, or finds the end it came to while
// nobody looked. It returns early only when the server stops.
func (r *runner) calculate(ctx context.Context, k Kernel, s ergane.Session, c ergane.Calculation) {
	x := &run{runner: r, k: k, c: c}
	if c.Status.State == ergane.CalculationCanceling && !k.Has(c.ID) {
		x.settle(ctx, ending{state: ergane.CalculationCanceled, reason: c.Status.Reason}, s)
		return
	}
	work, cancel := context.WithCancel(ctx)
	defer cancel()
	over := make(chan error, 1)
	var out ergane.Outcome
	go func() {
		err := k.Exec(work, c.ID, c.Code)
		if err == nil {
			out, err = k.Wait(work, c.ID)
		}
		over <- err
	}()
	watched := make(chan struct{})
	limits := make(chan string, 1)
	go func() {
		defer close(watched)
		r.observe(work, k, c.ID, limits)
	}()
	err := x.await(ctx, work, over, limits)
	cancel()
	<-watched
	if ctx.Err() != nil {
		return
	}
	x.finish(ctx, out, err)
}

// await waits for the end of the work, and stops it when it is asked to.
func (x *run) await(ctx, work context.Context, over <-chan error, limits <-chan string) error {
	show := time.NewTimer(showRunning)
	defer show.Stop()
	if x.c.Status.State != ergane.CalculationCreating {
		show.Stop()
	}
	x.consider(ctx, work)
	driver := x.k.DriverDied()
	for {
		select {
		case err := <-over:
			return err
		case <-show.C:
			x.started(ctx)
		case <-x.nudges:
			x.consider(ctx, work)
		case <-driver:
			driver = nil
			x.degrade(ctx)
		case x.limit = <-limits:
			x.stop(work, x.m.cfg.InterruptGrace)
		case <-x.grace:
			x.grace = nil
			x.killed = "the code did not react to the interrupt, so the session's kernel was killed"
			x.log.Warn("interrupt had no effect; killing the kernel", "calculation", x.c.ID)
			go x.k.Shutdown(ctx, 0) // its end ends the work
		}
	}
}

// started shows the calculation RUNNING.
func (x *run) started(ctx context.Context) {
	c, _, err := x.m.moveCalculation(ctx, ergane.CalculationStarts(x.c.ID, time.Now()))
	if err != nil {
		x.log.Warn("cannot show that the calculation runs", "error", err)
		return
	}
	x.c.Status = c.Status
}

// consider looks whether somebody wants the calculation stopped.
func (x *run) consider(ctx, work context.Context) {
	s, err := x.m.store.Session(ctx, x.id)
	if err != nil {
		return // the next nudge, or the end, looks again
	}
	if s.Status.State == ergane.SessionTerminating {
		c, _, err := x.m.moveCalculation(ctx, ergane.CalculationStopping(x.c.ID, time.Now(), "The calculation was canceled because its session was terminated"))
		if err == nil {
			x.c.Status = c.Status
		}
		x.stop(work, terminateGrace)
		return
	}
	c, err := x.m.store.Calculation(ctx, x.c.ID)
	if err == nil && c.Status.State == ergane.CalculationCanceling {
		x.c.Status = c.Status
		x.stop(work, x.m.cfg.InterruptGrace)
	}
}

// stop orders the interrupt, once, and sets the time it has.
func (x *run) stop(work context.Context, grace time.Duration) {
	if x.stopping && grace >= x.m.cfg.InterruptGrace {
		return
	}
	x.grace = time.After(grace)
	if x.stopping {
		return
	}
	x.stopping = true
	go func() {
		if err := x.k.Interrupt(work, x.c.ID); err != nil && work.Err() == nil {
			x.log.Warn("interrupt failed", "calculation", x.c.ID, "error", err)
		}
	}()
}

// finish turns what the kernel said, or its silence, into the calculation's end.
func (x *run) finish(ctx context.Context, out ergane.Outcome, err error) {
	s, readErr := x.m.store.Session(ctx, x.id)
	if readErr != nil {
		s = ergane.Session{ID: x.id}
	}
	if err != nil && isClosed(x.k.Done()) {
		reason := x.deathReason(x.k)
		if x.killed != "" {
			reason = x.killed
		}
		if x.killed == "" && s.Status.State != ergane.SessionTerminating {
			x.log.Warn("kernel lost", "reason", reason)
		}
		x.k.Shutdown(ctx, 0) // until its descendants are gone its files still grow
		x.end(ctx, reason)
		return
	}
	if err != nil {
		x.settle(ctx, ending{state: ergane.CalculationFailed, reason: "the code could not be handed to the session's kernel: " + err.Error()}, s)
		return
	}
	e := endingOf(out)
	switch {
	case x.limit != "":
		e.state, e.reason = ergane.CalculationFailed, x.limit
	case e.state == ergane.CalculationCanceled && x.c.Status.Reason != "":
		e.reason = x.c.Status.Reason
	}
	x.settle(ctx, e, s)
}

// settle delivers a calculation's objects and makes its end and the session's
// freedom one commit.
func (x *run) settle(ctx context.Context, e ending, s ergane.Session) {
	x.runner.settle(ctx, x.c, e, func(at time.Time) ergane.SessionMove { return ergane.SessionFreed(x.id, at) })
}

// overLimit is the reason of a calculation that printed too much.
func overLimit(stream string, limit int64) string {
	return fmt.Sprintf("the calculation was stopped because it wrote more than %d bytes to %s", limit, stream)
}
