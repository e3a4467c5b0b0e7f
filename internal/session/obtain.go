package session

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/ergane-dev/ergane"
)

var errTerminated = errors.New(terminatedByRequest)

// obtain gets the session its kernel. A TerminateSession that comes meanwhile
// ends the attempt.
func (r *runner) obtain(ctx context.Context) (Kernel, error) {
	type attempt struct {
		k   Kernel
		err error
	}
	starting, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	got := make(chan attempt, 1)
	go func() {
		k, err := r.attach(ctx, starting)
		got <- attempt{k, err}
	}()
	for {
		select {
		case a := <-got:
			return a.k, a.err
		case <-r.nudges:
			s, err := r.m.store.Session(ctx, r.id)
			if err != nil {
				time.AfterFunc(lookAgain, r.nudge)
			} else if s.Status.State == ergane.SessionTerminating {
				cancel(errTerminated)
			}
		}
	}
}

// lookAgain is when a runner looks at the store again that it could not read.
const lookAgain = time.Second

// attach adopts the session's kernel or starts it, and waits until it is ready.
// The kernel comes back with the error if there is one already. The end of
// starting ends the start of a kernel and the wait for it, but never the search
// for one that may live.
func (r *runner) attach(ctx, starting context.Context) (Kernel, error) {
	var s ergane.Session
	r.persist(ctx, "read the session", func() (err error) {
		s, err = r.m.store.Session(ctx, r.id)
		return err
	})
	if ctx.Err() != nil {
		return r.given, context.Cause(ctx)
	}
	if k, err := r.claim(ctx, starting, s); k != nil {
		return k, err
	}
	if s.Status.State == ergane.SessionCreating {
		r.persist(ctx, "record the session's executors", func() error { return r.saveOwn(ctx, ergane.ExecutorCreating) })
	}
	k, err := r.find(ctx)
	switch {
	case err == nil:
		r.m.cfg.Meter.Count(CountKernels, kernelAdopted)
	case !errors.Is(err, ErrNoKernel):
		return nil, err
	case s.Status.State != ergane.SessionCreating:
		return nil, errors.New("nothing is left of the session's kernel on this machine")
	default:
		if err := r.prepare(starting, s); err != nil {
			return nil, fmt.Errorf("the session's kernel did not start: %w", err)
		}
		done, err := r.m.starts.turn(starting, r.m.host.Downloads(s))
		if err != nil {
			return nil, err
		}
		defer done() // once it is ready: Spark's start is most of the work
		var cancel context.CancelFunc
		starting, cancel = r.m.inTime(starting)
		defer cancel()
		if k, err = r.m.host.Start(starting, s); err != nil {
			if starting.Err() != nil {
				return nil, context.Cause(starting)
			}
			return nil, fmt.Errorf("the session's kernel did not start: %w", err)
		}
		r.m.cfg.Meter.Count(CountKernels, kernelStarted)
	}
	r.kernel.Store(&k)
	if s.Status.State != ergane.SessionCreating {
		return k, nil
	}
	if r.adopt { // the time before the restart is not known, and does not count
		var cancel context.CancelFunc
		starting, cancel = r.m.inTime(starting)
		defer cancel()
	}
	r.persist(ctx, "record that the kernel runs", func() error { return r.saveOwn(ctx, ergane.ExecutorCreated) })
	if err = k.Ready(starting); err == nil {
		err = k.Claim(starting, s) // an adopted one may have been started ahead
	}
	if err != nil {
		return k, err
	}
	r.showIdle(ctx, s)
	return k, nil
}

// showIdle records that the kernel takes calculations.
func (r *runner) showIdle(ctx context.Context, s ergane.Session) {
	r.persist(ctx, "show the session IDLE", func() error {
		if err := r.saveOwn(ctx, ergane.ExecutorRegistered); err != nil {
			return err
		}
		_, moved, err := r.m.moveSession(ctx, ergane.SessionReady(r.id, time.Now()))
		if moved {
			r.m.cfg.Meter.Took(SessionStart, time.Since(s.Status.StartedAt))
		}
		return err // none for a lost move: that is a TerminateSession, which live() sees
	})
}

// claim makes the kernel that was started ahead the session's, if there is one.
// One that turns out to be dead is nobody's loss: the session gets another.
func (r *runner) claim(ctx, starting context.Context, s ergane.Session) (Kernel, error) {
	k := r.given
	if k == nil {
		return nil, nil
	}
	err := k.Claim(starting, s)
	switch {
	case err == nil:
		r.m.cfg.Meter.Count(CountKernels, kernelClaimed)
		r.kernel.Store(&k)
		r.showIdle(ctx, s)
		return k, nil
	case starting.Err() != nil || alive(k):
		return k, err
	}
	r.log.Warn("the kernel that was started ahead is dead; starting another", "error", err)
	k.Shutdown(ctx, 0)
	k.Detach()
	return nil, nil
}

// findFor is how long a kernel is looked for that cannot be reached.
const findFor = time.Minute

// find adopts the kernel that an earlier server started. ErrNoKernel where
// there was none; nothing but an *ExitError says that it is dead.
func (r *runner) find(ctx context.Context) (Kernel, error) {
	if !r.adopt {
		return nil, ErrNoKernel
	}
	begun := time.Now()
	for wait := 50 * time.Millisecond; ; wait = min(2*wait, 5*time.Second) {
		k, err := r.m.host.Adopt(ctx, r.id)
		if _, dead := errors.AsType[*ExitError](err); err == nil || dead || errors.Is(err, ErrNoKernel) {
			return k, err
		}
		if time.Since(begun)+wait > findFor {
			r.astray = true
			return nil, fmt.Errorf("the session's kernel cannot be reached: %w", err)
		}
		r.log.Warn("cannot reach the kernel; trying again", "error", err, "wait", wait)
		if !pause(ctx, wait) {
			return nil, context.Cause(ctx)
		}
	}
}
