package session

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/ergane-dev/ergane"
)

var errTerminated = errors.New(terminatedByRequest)

// obtain gets the session its kernel. A TerminateSession meanwhile ends the
// attempt.
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

// lookAgain is the pause before a runner reads the store again after an error.
const lookAgain = time.Second

// attach adopts the session's kernel or starts it, and waits until it is ready.
// With an error, the kernel is returned if there is one already. The end of
// starting ends the start of a kernel and the wait for it; a kernel that may
// live and cannot be adopted is ended then.
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
	if s.Status.State == ergane.SessionTerminating {
		r.nudge() // it was terminated before this server started
	}
	k, err := r.find(ctx, starting)
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
		defer done() // only once the kernel is ready: Spark's start is most of the work
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
	if r.adopt { // the idle time before the restart is not known, and does not count
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

// showIdle marks the session IDLE: the kernel takes calculations.
func (r *runner) showIdle(ctx context.Context, s ergane.Session) {
	r.persist(ctx, "mark the session IDLE", func() error {
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
// If that kernel is dead, the session gets another: claim returns nil and no error.
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

const (
	// lostFor is how long a kernel is looked for whose handle is unusable.
	lostFor = time.Minute
	// findEvery is the longest pause between two attempts to find a kernel,
	// sayEvery that between two log lines about it.
	findEvery = 5 * time.Second
	sayEvery  = time.Minute
)

// find adopts the kernel that an earlier server started. The error is
// ErrNoKernel if there was none, and an *ExitError, and no other, if it is dead.
// When the server lacks disk, descriptors or memory to look for the kernel, the
// kernel runs on and find tries again until it succeeds. The kernel is ended only
// if the session is to end, or if its handle stays unusable for lostFor.
func (r *runner) find(ctx, starting context.Context) (Kernel, error) {
	if !r.adopt {
		return nil, ErrNoKernel
	}
	defer r.trouble.Store(nil)
	var complain complaint
	var lost time.Time // since when the handle is unusable
	for wait := 50 * time.Millisecond; ; wait = min(2*wait, findEvery) {
		k, err := r.m.host.Adopt(starting, r.id)
		if _, dead := errors.AsType[*ExitError](err); err == nil || dead || errors.Is(err, ErrNoKernel) {
			return k, err
		}
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		switch {
		case starting.Err() != nil:
			if r.expel(ctx) {
				return nil, context.Cause(starting)
			}
			return nil, context.Cause(ctx)
		case !errors.Is(err, ErrLost):
			lost = time.Time{}
		case lost.IsZero():
			lost = time.Now()
		case time.Since(lost)+wait > lostFor:
			if r.expelOnce(ctx) != nil {
				r.unreachable = true
			}
			return nil, fmt.Errorf("the session's kernel cannot be reached: %w", err)
		}
		trouble := "the session's kernel cannot be reached at present: " + err.Error()
		r.trouble.Store(&trouble)
		if complain.due(err) {
			r.log.Warn("cannot reach the kernel; trying again until it is found", "error", err)
		}
		pause(starting, wait)
	}
}

// expel ends a kernel that cannot be adopted, and tries again until it succeeds.
// False when the server stops.
func (r *runner) expel(ctx context.Context) bool {
	for wait := 50 * time.Millisecond; r.expelOnce(ctx) != nil; wait = min(2*wait, findEvery) {
		if !pause(ctx, wait) {
			return false
		}
	}
	return true
}

func (r *runner) expelOnce(ctx context.Context) error {
	err := r.m.host.Expel(ctx, r.id)
	if err != nil && ctx.Err() == nil {
		r.log.Error("cannot end a kernel that cannot be adopted", "error", err)
	}
	return err
}

// A complaint is an error that is logged when it changes, and otherwise once
// every sayEvery.
type complaint struct {
	what string
	at   time.Time
}

func (c *complaint) due(err error) bool {
	if err.Error() == c.what && time.Since(c.at) < sayEvery {
		return false
	}
	c.what, c.at = err.Error(), time.Now()
	return true
}
