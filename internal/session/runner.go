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
	adopt  bool // a kernel of an earlier server may be there
	nudges chan struct{}
	log    *slog.Logger

	// kernel is set once by the runner, and read by API calls.
	kernel atomic.Pointer[Kernel]
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
	if ctx.Err() != nil {
		if k != nil {
			k.Detach()
		}
		return
	}
	if err != nil {
		if k != nil {
			k.Shutdown(ctx, 0)
		}
		r.end(ctx, err.Error())
		return
	}
	for r.live(ctx, k) {
	}
	k.Detach()
}

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
		k, err := r.attach(starting)
		got <- attempt{k, err}
	}()
	for {
		select {
		case a := <-got:
			return a.k, a.err
		case <-r.nudges:
			if s, err := r.m.store.Session(ctx, r.id); err == nil && s.Status.State == ergane.SessionTerminating {
				cancel(errors.New(terminatedByRequest))
			}
		}
	}
}

// attach adopts the session's kernel or starts it, and waits until it is ready.
// The kernel comes back with the error if there is one already.
func (r *runner) attach(ctx context.Context) (Kernel, error) {
	s, err := r.m.store.Session(ctx, r.id)
	if err != nil {
		return nil, err
	}
	k, err := r.kernelOf(ctx, s)
	if err != nil {
		return nil, err
	}
	r.kernel.Store(&k)
	if s.Status.State != ergane.SessionCreating {
		return k, nil
	}
	if err := r.saveOwn(ctx, ergane.ExecutorCreating); err != nil {
		return k, err
	}
	if err := k.Ready(ctx); err != nil {
		return k, err
	}
	if err := r.saveOwn(ctx, ergane.ExecutorRegistered); err != nil {
		return k, err
	}
	_, _, err = r.m.moveSession(ctx, ergane.SessionReady(r.id, time.Now()))
	return k, err // a lost move is a TerminateSession, which live() sees
}

func (r *runner) kernelOf(ctx context.Context, s ergane.Session) (Kernel, error) {
	if r.adopt {
		k, err := r.m.host.Adopt(ctx, r.id)
		if err == nil || !errors.Is(err, ErrNoKernel) {
			return k, err
		}
		if s.Status.State != ergane.SessionCreating {
			return nil, errors.New("nothing is left of the session's kernel on this machine")
		}
	}
	select {
	case r.m.starts <- struct{}{}:
		defer func() { <-r.m.starts }()
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	k, err := r.m.host.Start(ctx, s)
	if err != nil && ctx.Err() == nil {
		return nil, fmt.Errorf("the session's kernel did not start: %w", err)
	}
	return k, err
}

// live does the next thing that a session with a kernel needs, or waits for
// one. It returns false when the session has ended or the server stops.
func (r *runner) live(ctx context.Context, k Kernel) bool {
	s, open, err := r.look(ctx)
	switch {
	case ctx.Err() != nil:
		return false
	case err != nil:
		r.log.Error("cannot read the session; trying again", "error", err)
		return pause(ctx, time.Second)
	case s.Status.State.Ended():
		return false
	case isClosed(k.Done()):
		r.end(ctx, r.deathReason(k))
		return false
	case len(open) > 0:
		r.calculate(ctx, k, s, open[0])
		return true
	case s.Status.State == ergane.SessionTerminating:
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
	idle := time.NewTimer(idleFor(s, time.Now()))
	defer idle.Stop()
	driver := k.DriverDied()
	if s.Status.State == ergane.SessionDegraded {
		driver = nil
	}
	select {
	case <-ctx.Done():
	case <-r.nudges:
	case <-k.Done():
	case <-driver:
		r.degrade(ctx)
	case <-idle.C:
		reason := fmt.Sprintf("Session was terminated because it was idle for %s", minutes(s.IdleTimeout))
		r.persist(ctx, "expire the session", func() error {
			_, _, err := r.m.moveSession(ctx, ergane.SessionExpires(r.id, time.Now(), reason))
			return err
		})
	}
}

// idleFor is how long a session may still be idle. After a restart of the
// server, or a jump of the clock, it has at least a minute.
func idleFor(s ergane.Session, now time.Time) time.Duration {
	since := s.Status.IdleSince
	if since.IsZero() {
		since = s.Status.ModifiedAt
	}
	left := s.IdleTimeout - max(0, now.Sub(since))
	return max(left, min(time.Minute, s.IdleTimeout))
}

func minutes(d time.Duration) string {
	if n := int(d.Minutes()); n != 1 {
		return fmt.Sprintf("%d minutes", n)
	}
	return "1 minute"
}

// degrade records that the Spark driver is gone while Python lives.
func (r *runner) degrade(ctx context.Context) {
	r.persist(ctx, "degrade the session", func() error {
		at := time.Now()
		_, _, err := r.m.moveSession(ctx, ergane.SessionDegrades(r.id, at,
			"The Spark driver of the session died; its Python variables live on, but Spark does not. Start a new session."))
		if err != nil {
			return err
		}
		return r.saveDriverLost(ctx, at)
	})
}

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

// persist repeats a write until it succeeds or the server stops: a runner has
// nobody to hand an error to, and the store comes back or the server ends.
func (r *runner) persist(ctx context.Context, what string, write func() error) {
	for wait := 50 * time.Millisecond; ; wait = min(2*wait, 5*time.Second) {
		err := write()
		if err == nil || ctx.Err() != nil {
			return
		}
		r.log.Error("cannot "+what+"; trying again", "error", err, "wait", wait)
		if !pause(ctx, wait) {
			return
		}
	}
}

// pause waits; false when ctx ended.
func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

func isClosed(ch <-chan struct{}) bool {
	select {
	case <-ch:
		return true
	default:
		return false
	}
}
