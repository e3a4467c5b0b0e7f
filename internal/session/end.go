package session

import (
	"context"
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
		r.settle(ctx, c, r.posthumous(c, reason, terminating), func(at time.Time) ergane.SessionMove {
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
func (r *runner) posthumous(c ergane.Calculation, reason string, terminating bool) ending {
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
	spool, err := r.m.host.Spool(r.id)
	if err != nil {
		return e
	}
	defer spool.Close()
	if out, ok := spool.Outcome(c.ID); ok {
		return endingOf(out)
	}
	at, stdout, stderr, ok := spool.Started(c.ID)
	if !ok {
		if !canceled {
			e.reason = "the calculation never started: " + reason
		}
		return e
	}
	e.started, e.ended = at, time.Now()
	e.stdout = rest(spool, "stdout", stdout)
	e.stderr = rest(spool, "stderr", stderr)
	e.outputs = allOutputs
	return e
}

// allOutputs delivers whatever there is of the rich outputs.
const allOutputs = -1

// rest is the range from an offset to the present end of a stream.
func rest(s Spool, stream string, from int64) ergane.Range {
	size, err := s.Size(stream)
	if err != nil || size < from {
		return ergane.Range{Start: from, End: from}
	}
	return ergane.Range{Start: from, End: size}
}
