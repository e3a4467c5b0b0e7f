package session

import (
	"context"
	"errors"
	"time"

	"github.com/ergane-dev/ergane"
	"github.com/ergane-dev/ergane/internal/delivery"
)

// end settles the open calculation of a session whose kernel is gone, and moves
// the session to its last state: TERMINATED if that was asked for, FAILED with
// the reason otherwise.
func (r *runner) end(ctx context.Context, reason string) {
	r.endLog(ctx)
	for over := false; !over && ctx.Err() == nil; {
		over = r.close(ctx, reason)
	}
	if ctx.Err() != nil {
		return
	}
	if s, err := r.m.store.Session(ctx, r.id); err == nil {
		r.m.cfg.Meter.Count(CountSessions, string(s.Status.State))
	}
	r.m.hub.moved(r.id)
	if r.unreachable {
		return // the reaper looks for it again
	}
	r.m.removeFiles(r.id)
}

// close is one attempt of end. It returns false when the session moved
// meanwhile: a calculation that was just submitted would never end in an ended
// session.
func (r *runner) close(ctx context.Context, reason string) (over bool) {
	var s ergane.Session
	var open []ergane.Calculation
	if !r.persist(ctx, "read the session", func() (err error) {
		s, open, err = r.look(ctx)
		return err
	}) {
		return ctx.Err() == nil // it was deleted with its workgroup
	}
	terminating := s.Status.State == ergane.SessionTerminating
	for _, c := range open {
		o := r.outcomeOfDead(ctx, c, reason, terminating)
		if ctx.Err() != nil {
			return false
		}
		r.settle(ctx, c, o, func(at time.Time) ergane.SessionMove {
			return ergane.SessionLost(r.id, at, reason)
		})
		if ctx.Err() != nil {
			return false
		}
	}
	if s.Status.State.Ended() {
		return true
	}
	done := r.persist(ctx, "end the session", func() error {
		at := time.Now()
		state, last := ergane.ExecutorFailed, ergane.SessionLost(r.id, at, reason)
		if terminating {
			state, last = ergane.ExecutorTerminated, ergane.SessionStopped(r.id, at)
		}
		if err := r.m.store.EndExecutors(ctx, r.id, state, at); err != nil {
			return err
		}
		now, _, err := r.m.moveSession(ctx, last.Only(s.Status.State))
		over = now.Status.State.Ended()
		return err
	})
	return over || !done && ctx.Err() == nil
}

// outcomeOfDead is the outcome of a calculation whose kernel is dead: what the
// kernel recorded, or else what follows from its death.
func (r *runner) outcomeOfDead(ctx context.Context, c ergane.Calculation, reason string, terminating bool) ergane.Outcome {
	canceled := terminating || c.Status.State == ergane.CalculationCanceling
	o := ergane.Outcome{State: ergane.CalculationFailed, Reason: reason}
	if canceled {
		o.State = ergane.CalculationCanceled
		if c.Status.Reason != "" {
			o.Reason = c.Status.Reason
		}
		if reason != "" && reason != o.Reason {
			o.Reason += " (" + reason + ")"
		}
	}
	left, err := r.m.delivery.Left(ctx, c)
	switch {
	case errors.Is(err, delivery.ErrSpool): // nothing is left
	case err != nil:
		o.Unread = err
	case left.State != "":
		return left
	case left.StartedAt.IsZero():
		if !canceled {
			o.Reason = "the calculation never started: " + reason
		}
	default:
		left.State, left.Reason, left.EndedAt = o.State, o.Reason, time.Now()
		return left
	}
	return o
}
