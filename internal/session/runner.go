package session

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/ergane-dev/ergane"
)

// A runner owns one live session from its start, or its adoption, to its end.
// All that changes the session's kernel happens in its goroutine.
type runner struct {
	m      *Manager
	id     string
	adopt  bool   // a kernel of an earlier server may be there
	given  Kernel // a kernel that was started ahead for the session, or nil
	nudges chan struct{}
	log    *slog.Logger

	// kernel is set once by the runner; API calls read it.
	kernel atomic.Pointer[Kernel]
	// trouble is why the kernel cannot be reached at present; nil while it can.
	trouble atomic.Pointer[string]
	// looks is held by the goroutine that asks Spark for the executors.
	looks chan struct{}
	// idle measures how long the session has been idle. The runner's own.
	idle clock
	// delivered are delivered calculations whose files are still there. The runner's own.
	delivered []string
	// watch measures the folder while no calculation runs; nil while nothing measures. The runner's own.
	watch *idleWatch
	// cleanup says that a calculation was stopped because the folder was too
	// large, and that the next one may clean up. The runner's own.
	cleanup bool
	// unreachable says that the kernel cannot be reached and may live. The runner's own.
	unreachable bool
}

// nudge makes the runner read the store; it never blocks.
func (r *runner) nudge() {
	select {
	case r.nudges <- struct{}{}:
	default:
	}
}

// run returns when the session has ended or the server stops (ctx).
func (r *runner) run(ctx context.Context) {
	k, err := r.obtain(ctx)
	if k != nil {
		defer k.Detach()
	}
	defer r.unwatch()
	switch {
	case ctx.Err() != nil:
	case err != nil:
		if exit, dead := errors.AsType[*ExitError](err); dead && k == nil {
			r.died(causeOf(exit.Exit))
		}
		if k != nil {
			if !errors.Is(err, errTerminated) {
				r.died(deathNotReady)
			}
			k.Shutdown(ctx, 0)
		}
		r.end(ctx, err.Error())
	default:
		for r.live(ctx, k) {
		}
	}
}

// live does the next thing that a session with a kernel needs, or waits for it.
// It returns false when the session has ended or the server stops.
func (r *runner) live(ctx context.Context, k Kernel) bool {
	s, open, err := r.look(ctx)
	switch {
	case ctx.Err() != nil:
		return false
	case ergane.CodeOf(err) == ergane.CodeNotFound:
		return false // it ended, and was deleted with its workgroup
	case err != nil:
		r.log.Error("cannot read the session; trying again", "error", err)
		return pause(ctx, time.Second)
	case s.Status.State.Ended():
		return false
	case isClosed(k.Done()):
		r.died(causeOf(k.Exit()))
		r.end(ctx, r.deathReason(k))
		return false
	case len(open) > 0:
		r.unwatch()
		r.calculate(ctx, k, s, open[0])
		return true
	case s.Status.State == ergane.SessionTerminating:
		r.refreshExecutors(ctx, k) // those that registered since the last question
		k.Shutdown(ctx, shutdownGrace)
		if ctx.Err() == nil {
			r.end(ctx, "")
		}
		return false
	case s.Status.State == ergane.SessionBusy:
		// Its calculation ended while the session was moving to another state.
		r.persist(ctx, "free the session", func() error {
			_, _, err := r.m.moveSession(ctx, ergane.SessionFreed(r.id, time.Now()))
			return err
		})
		return true
	}
	r.rest(ctx, k, s)
	return true
}

// shutdownGrace is how long a kernel may take to end by itself.
const shutdownGrace = 5 * time.Second

// rest waits for something to do while the session is IDLE or DEGRADED.
func (r *runner) rest(ctx context.Context, k Kernel, s ergane.Session) {
	idle := time.NewTimer(idleFor(s, &r.idle, time.Now()))
	defer idle.Stop()
	driver := k.DriverDied()
	if s.Status.State == ergane.SessionDegraded {
		driver = nil
	}
	expire := func(reason string) {
		r.persist(ctx, "expire the session", func() error {
			_, _, err := r.m.moveSession(ctx, ergane.SessionExpires(r.id, time.Now(), reason))
			return err
		})
	}
	select {
	case <-ctx.Done():
	case <-r.nudges:
	case <-k.Done():
	case <-driver:
		r.degrade(ctx, k.DriverExit())
	case broken := <-r.watchDisk(ctx):
		r.m.cfg.Meter.Count(CountLimits, broken.limit)
		expire(broken.sentence)
	case <-idle.C:
		expire(fmt.Sprintf("Session was terminated because it was idle for %s", minutes(s.IdleTimeout)))
	}
}

// idleFor is how long a session may still be idle. After a restart of the
// server it is at least a minute, because the clock may have been set.
func idleFor(s ergane.Session, idle *clock, now time.Time) time.Duration {
	since := s.Status.IdleSince
	if since.IsZero() {
		since = s.Status.ModifiedAt
	}
	left := s.IdleTimeout - idle.since(since, now)
	return max(left, min(time.Minute, s.IdleTimeout))
}

func minutes(d time.Duration) string {
	if n := int(d.Minutes()); n != 1 {
		return fmt.Sprintf("%d minutes", n)
	}
	return "1 minute"
}

// degrade records that the Spark driver is gone while Python lives.
func (r *runner) degrade(ctx context.Context, how ergane.Exit) {
	reason := fmt.Sprintf("The Spark driver of the session died (it %s); its Python variables live on, but Spark does not. Start a new session.", how)
	r.persist(ctx, "degrade the session", func() error {
		at := time.Now()
		_, moved, err := r.m.moveSession(ctx, ergane.SessionDegrades(r.id, at, reason))
		if err != nil {
			return err
		}
		if moved {
			r.died(deathDriver)
		}
		return r.saveDriverLost(ctx, at)
	})
}

// died counts the death of a kernel that nobody had asked to end.
func (r *runner) died(cause string) { r.m.cfg.Meter.Count(CountDeaths, cause) }

// look reads the session and its open calculation.
func (r *runner) look(ctx context.Context) (ergane.Session, []ergane.Calculation, error) {
	s, err := r.m.store.Session(ctx, r.id)
	if err != nil {
		return s, nil, err
	}
	open, err := r.m.store.OpenCalculations(ctx, r.id)
	return s, open, err
}

// deathReason says in a sentence how the kernel ended.
func (r *runner) deathReason(k Kernel) string {
	return (&ExitError{k.Exit()}).Error()
}
