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
// All that moves the session's kernel happens in its goroutine.
type runner struct {
	m      *Manager
	id     string
	adopt  bool   // a kernel of an earlier server may be there
	given  Kernel // the one that was started ahead for it, or nil
	nudges chan struct{}
	log    *slog.Logger

	// kernel is set once by the runner, and read by API calls.
	kernel atomic.Pointer[Kernel]
	// trouble is why the kernel cannot be reached at present; nil while it can.
	trouble atomic.Pointer[string]
	// looks is taken by whoever asks Spark for the executors.
	looks chan struct{}
	// idle measures how long the session has been idle. The runner's own.
	idle clock
	// delivered are calculations that are, and whose files are still there. The runner's own.
	delivered []string
	// watch measures the folder while no calculation runs; nil: nothing does. The runner's own.
	watch *idleWatch
	// spared says that the folder may be too large, as a calculation was
	// stopped for it, and is to be cleaned up by the next. The runner's own.
	spared bool
	// astray says that a kernel may live that cannot be reached. The runner's own.
	astray bool
}

// nudge makes the runner look at the store; it never blocks.
func (r *runner) nudge() {
	select {
	case r.nudges <- struct{}{}:
	default:
	}
}

// run lives as long as the session, or until the server stops (ctx).
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

// live does the next thing that a session with a kernel needs, or waits for
// one. It returns false when the session has ended or the server stops.
func (r *runner) live(ctx context.Context, k Kernel) bool {
	s, open, err := r.look(ctx)
	switch {
	case ctx.Err() != nil:
		return false
	case ergane.CodeOf(err) == ergane.CodeNotFound:
		return false // it ended, and went with its workgroup
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
		r.refreshExecutors(ctx, k) // those that came since the last look
		k.Shutdown(ctx, shutdownGrace)
		if ctx.Err() == nil {
			r.end(ctx, "")
		}
		return false
	case s.Status.State == ergane.SessionBusy:
		// Its calculation ended while the session was on its way elsewhere.
		r.persist(ctx, "free the session", func() error {
			_, _, err := r.m.moveSession(ctx, ergane.SessionFreed(r.id, time.Now()))
			return err
		})
		return true
	}
	r.rest(ctx, k, s)
	return true
}

// shutdownGrace is how long a kernel may take to leave politely.
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
// server, for which the clock may have jumped, it has at least a minute.
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

// died counts a death that nobody had asked for.
func (r *runner) died(cause string) { r.m.cfg.Meter.Count(CountDeaths, cause) }

// look reads the session and what is open of it.
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
