package session

import (
	"cmp"
	"context"
	"sync"
	"time"

	"github.com/ergane-dev/ergane"
)

// showRunning is how long a calculation may take before RUNNING is worth a
// write of its own; shorter ones go from CREATING to their end.
const showRunning = 20 * time.Millisecond

// terminateGrace is the interrupt grace while the session is being terminated.
const terminateGrace = 5 * time.Second

// run is one calculation from its start to its end.
type run struct {
	*runner
	k Kernel
	c ergane.Calculation

	stopping        bool             // an interrupt was ordered
	limit           string           // the limit that the calculation broke, in a sentence
	killed          string           // why we killed the kernel
	grace           <-chan time.Time // fires when the interrupt has had its time
	deadline        time.Time        // when grace fires
	interruptedAt   time.Time        // when the last interrupt was ordered
	cancelInterrupt func()           // ends the last interrupt order
	oomKills        int64            // how many processes the out-of-memory killer had killed before
	orders          sync.WaitGroup   // interrupt and kill orders that are being carried out
}

// byTermination is the reason of what ended because its session did.
const byTermination = "The calculation was canceled because its session was terminated"

// calculate runs a calculation to its end, or finds the end that it reached
// while no server ran. It returns early only when the server stops.
func (r *runner) calculate(ctx context.Context, k Kernel, s ergane.Session, c ergane.Calculation) {
	x := &run{runner: r, k: k, c: c}
	defer func() {
		if ctx.Err() == nil { // otherwise it runs on, and its progress is saved
			r.m.figures.forget(c.ID)
		}
	}()
	r.cleanup = false
	x.oomKills, _ = k.Killed()
	unwanted := c.Status.State == ergane.CalculationCanceling || s.Status.State == ergane.SessionTerminating
	if unwanted && !k.Has(c.ID) {
		x.settle(ctx, ergane.Outcome{State: ergane.CalculationCanceled, Reason: cmp.Or(c.Status.Reason, byTermination)}, x.freed)
		return
	}
	work, cancel := context.WithCancel(ctx)
	defer cancel()
	over := make(chan error, 1)
	taken := make(chan struct{})
	var out ergane.Outcome
	seen := times{begun: time.Now()}
	go func() {
		err := k.Exec(work, c.ID, c.Code)
		if err == nil {
			seen.taken = time.Now()
			close(taken)
			out, err = k.Wait(work, c.ID)
			seen.over = time.Now()
		}
		over <- err
	}()
	var watching sync.WaitGroup
	limits := make(chan breach, 1)
	watching.Go(func() { r.observe(work, k, c, limits) })
	watching.Go(func() { r.bound(work, k, c, limits) })
	err := x.await(ctx, work, taken, over, limits)
	cancel()
	watching.Wait()
	x.orders.Wait()
	if ctx.Err() != nil {
		return
	}
	if err == nil {
		seen.report(r.m.cfg.Meter, out)
	}
	x.finish(ctx, isClosed(taken), out, err)
}

// await waits for the end of the calculation, and stops it when that is asked for.
func (x *run) await(ctx, work context.Context, taken <-chan struct{}, over <-chan error, limits <-chan breach) error {
	var show <-chan time.Time
	var since time.Time
	driver := x.k.DriverDied()
	x.consider(ctx, work)
	for {
		select {
		case err := <-over:
			return err
		case <-taken:
			taken, since = nil, time.Now()
			if x.c.Status.State == ergane.CalculationCreating {
				show = time.After(showRunning)
			}
		case <-show:
			show = nil
			if !x.started(ctx, since) {
				show = time.After(lookAgain)
			}
		case <-x.nudges:
			x.consider(ctx, work)
		case <-driver:
			driver = nil
			x.degrade(ctx, x.k.DriverExit())
		case broken := <-limits:
			if x.limit == "" {
				x.limit, x.cleanup = broken.sentence, broken.limit == limitDisk
				x.m.cfg.Meter.Count(CountLimits, broken.limit)
			}
			x.stop(work, x.m.cfg.InterruptGrace)
		case <-x.grace:
			x.grace = nil
			x.m.cfg.Meter.Count(CountStops, stopKill)
			x.killed = "the code did not react to the interrupt, so the session's kernel was killed"
			x.log.Warn("interrupt had no effect; killing the kernel", "calculation", x.c.ID)
			x.orders.Go(func() { x.k.Shutdown(ctx, 0) }) // its end ends the work
		}
	}
}

// started marks the calculation RUNNING; false if the store fails.
func (x *run) started(ctx context.Context, since time.Time) bool {
	c, _, err := x.m.moveCalculation(ctx, ergane.CalculationStarts(x.c.ID, since))
	if err != nil {
		x.log.Warn("cannot mark calculation RUNNING; trying again", "error", err)
		return false
	}
	x.c.Status = c.Status
	return true
}

// consider stops the calculation if that was asked for, or if its session is TERMINATING.
func (x *run) consider(ctx, work context.Context) {
	s, err := x.m.store.Session(ctx, x.id)
	if err == nil && s.Status.State == ergane.SessionTerminating {
		c, _, err := x.m.moveCalculation(ctx, ergane.CalculationStopping(x.c.ID, time.Now(), byTermination))
		if err == nil {
			x.c.Status = c.Status
		}
		x.stop(work, min(terminateGrace, x.m.cfg.InterruptGrace))
		return
	}
	c, readErr := x.m.store.Calculation(ctx, x.c.ID)
	switch {
	case err != nil || readErr != nil:
		time.AfterFunc(lookAgain, x.nudge)
	case c.Status.State == ergane.CalculationCanceling:
		x.c.Status = c.Status
		x.stop(work, x.m.cfg.InterruptGrace)
	}
}

// interruptPause is the shortest time between two interrupts: a client that asks
// in a loop does not interrupt the cleaning up after the first one.
const interruptPause = 250 * time.Millisecond

// stop orders an interrupt and sets its deadline, which later calls only
// shorten. Each further call interrupts again at once, for code that caught the
// first interrupt and went on.
func (x *run) stop(work context.Context, grace time.Duration) {
	if end := time.Now().Add(grace); !x.stopping || end.Before(x.deadline) {
		x.deadline, x.grace = end, time.After(grace)
	}
	switch {
	case !x.stopping:
		x.stopping, x.cancelInterrupt = true, func() {}
		x.m.cfg.Meter.Count(CountStops, stopInterrupt)
	case time.Since(x.interruptedAt) < interruptPause:
		return
	}
	x.cancelInterrupt()
	x.interruptedAt = time.Now()
	var order context.Context
	order, x.cancelInterrupt = context.WithCancel(work)
	x.orders.Go(func() {
		if err := x.k.Interrupt(order, x.c.ID); err != nil && order.Err() == nil {
			x.log.Warn("interrupt failed", "calculation", x.c.ID, "error", err)
		}
	})
}

// finish ends the calculation with the kernel's outcome, or with the error that
// there is in place of one.
func (x *run) finish(ctx context.Context, taken bool, out ergane.Outcome, err error) {
	if x.killed != "" || isClosed(x.k.Done()) {
		x.k.Shutdown(ctx, 0) // its files may grow until its descendants are gone
		x.endWithKernel(ctx, out, err)
		return
	}
	switch {
	case err == nil:
		out = x.withMemoryReason(out)
		if out.EndedAt.Sub(out.StartedAt) > lookEvery { // for a shorter one it is not worth asking Spark
			x.refreshExecutors(ctx, x.k)
		}
	case taken:
		out = x.outcomeOfDead(ctx, x.c, "the outcome of the code cannot be read: "+err.Error(), false)
	default:
		out = ergane.Outcome{State: ergane.CalculationFailed, Reason: "the code could not be handed to the session's kernel: " + err.Error()}
	}
	x.settle(ctx, x.withStopReason(out), x.freed)
}

// endWithKernel ends the calculation of a dead kernel, and its session with it.
func (x *run) endWithKernel(ctx context.Context, out ergane.Outcome, err error) {
	reason := cmp.Or(x.killed, x.deathReason(x.k))
	x.log.Warn("kernel lost", "calculation", x.c.ID, "reason", reason)
	if x.killed != "" {
		x.died(deathKilled)
	} else {
		x.died(causeOf(x.k.Exit()))
	}
	switch {
	case err == nil:
		out = x.withStopReason(out)
	case x.limit != "":
		out = x.outcomeOfDead(ctx, x.c, x.limit+"; "+reason, false)
	default:
		x.end(ctx, reason)
		return
	}
	x.settle(ctx, out, func(at time.Time) ergane.SessionMove { return ergane.SessionLost(x.id, at, reason) })
	if ctx.Err() == nil {
		x.end(ctx, reason)
	}
}

// withMemoryReason adds to a failure that the out-of-memory killer killed a
// process of the session meanwhile, which may be its cause: the code's own error
// says only that a process is gone.
func (x *run) withMemoryReason(o ergane.Outcome) ergane.Outcome {
	if n, why := x.k.Killed(); n > x.oomKills && o.State == ergane.CalculationFailed {
		o.Reason = why + "; Linux killed one of its processes: " + o.Reason
	}
	return o
}

// withStopReason gives an outcome the reason for which the calculation was stopped.
func (x *run) withStopReason(o ergane.Outcome) ergane.Outcome {
	switch {
	case x.limit != "":
		o.State, o.Reason = ergane.CalculationFailed, x.limit
	case o.State == ergane.CalculationCanceled && x.c.Status.Reason != "":
		o.Reason = x.c.Status.Reason
	}
	return o
}

// settle delivers the calculation's objects and makes its end and the
// session's move one commit.
func (x *run) settle(ctx context.Context, o ergane.Outcome, move func(time.Time) ergane.SessionMove) {
	x.runner.settle(ctx, x.c, o, move)
}

func (x *run) freed(at time.Time) ergane.SessionMove { return ergane.SessionFreed(x.id, at) }
