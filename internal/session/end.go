package session

import (
	"context"
	"errors"
	"time"

	"github.com/ergane-dev/ergane"
)

// end settles what is open of a session whose kernel is gone, and moves the
// session to its last state: TERMINATED if that was asked for, FAILED with the
// reason otherwise.
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
	if r.astray {
		return // the reaper looks for it again
	}
	r.m.discard(r.id)
}

// close does that once. It is not over when the session moved meanwhile: a
// calculation that was submitted would never end in a session that had.
func (r *runner) close(ctx context.Context, reason string) (over bool) {
	var s ergane.Session
	var open []ergane.Calculation
	if !r.persist(ctx, "read the session", func() (err error) {
		s, open, err = r.look(ctx)
		return err
	}) {
		return ctx.Err() == nil // it went with its workgroup
	}
	terminating := s.Status.State == ergane.SessionTerminating
	for _, c := range open {
		e := r.posthumous(ctx, c, reason, terminating)
		if ctx.Err() != nil {
			return false
		}
		r.settle(ctx, c, e, func(at time.Time) ergane.SessionMove {
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

// posthumous is the end of a calculation whose kernel is dead: what the
// kernel recorded, or else what its death means for it.
func (r *runner) posthumous(ctx context.Context, c ergane.Calculation, reason string, terminating bool) ending {
	canceled := terminating || c.Status.State == ergane.CalculationCanceling
	e := ending{state: ergane.CalculationFailed, reason: reason}
	if canceled {
		e.state = ergane.CalculationCanceled
		if c.Status.Reason != "" {
			e.reason = c.Status.Reason
		}
		if reason != "" && reason != e.reason {
			e.reason += " (" + reason + ")"
		}
	}
	var left remains
	err := r.patiently(ctx, "read what a calculation left", func() (err error) {
		left, err = r.remains(c)
		return err
	})
	switch {
	case errors.Is(err, ErrSpool): // nothing is left
	case err != nil:
		e.unread = err
	case left.outcome != nil:
		return endingOf(*left.outcome)
	case left.started.IsZero():
		if !canceled {
			e.reason = "the calculation never started: " + reason
		}
	default:
		e.started, e.ended = left.started, time.Now()
		e.stdout, e.stderr, e.outputs = left.stdout, left.stderr, allOutputs
	}
	return e
}

// remains are what is on disk of a calculation whose kernel is through with it.
type remains struct {
	outcome *ergane.Outcome // nil: none was recorded
	// What there is without an outcome: when it began, zero if it never did, and what it printed.
	started        time.Time
	stdout, stderr ergane.Range
}

// remains reads what a calculation left. ErrSpool says that the spool is gone.
func (r *runner) remains(c ergane.Calculation) (left remains, err error) {
	spool, err := r.m.host.Spool(r.id)
	if err != nil {
		return left, err
	}
	defer spool.Close()
	out, ok, err := spool.Outcome(c.ID)
	if err != nil {
		return left, err
	}
	if ok {
		left.outcome = &out
		return left, nil
	}
	at, stdout, stderr, ok, err := spool.Started(c.ID)
	if err != nil || !ok {
		return left, err
	}
	left.started = at
	if left.stdout, err = rest(spool, "stdout", stdout); err == nil {
		left.stderr, err = rest(spool, "stderr", stderr)
	}
	return left, err
}

// allOutputs delivers whatever there is of the rich outputs.
const allOutputs = -1

// rest is the range from an offset to the present end of a stream; an error
// says that where that is cannot be read now.
func rest(s Spool, stream string, from int64) (ergane.Range, error) {
	none := ergane.Range{Start: from, End: from}
	size, err := s.Size(stream)
	switch {
	case errors.Is(err, ErrSpool):
		return none, nil
	case err != nil:
		return none, err
	case size < from:
		return none, nil
	}
	return ergane.Range{Start: from, End: size}, nil
}
