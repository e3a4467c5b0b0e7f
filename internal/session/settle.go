package session

import (
	"context"
	"time"

	"github.com/ergane-dev/ergane"
)

// ending is how a calculation ended, and what there is to deliver of it.
type ending struct {
	state   ergane.CalculationState
	reason  string
	started time.Time // zero: it never ran
	ended   time.Time
	stdout  ergane.Range
	stderr  ergane.Range
	outputs int64
}

func endingOf(o ergane.Outcome) ending {
	e := ending{state: o.State, started: o.StartedAt, ended: o.EndedAt, stdout: o.Stdout, stderr: o.Stderr, outputs: o.Outputs}
	switch {
	case o.Unrecorded != "":
		e.state, e.reason = ergane.CalculationFailed, "the kernel could not record the outcome: "+o.Unrecorded
	case e.state == ergane.CalculationFailed:
		e.reason = o.Reason()
	}
	return e
}

// settle stores the objects of a calculation that has ended, then makes its
// end and its session's move one commit.
func (r *runner) settle(ctx context.Context, c ergane.Calculation, e ending, move func(time.Time) ergane.SessionMove) {
	spool, err := r.m.host.Spool(r.id)
	if err == nil {
		defer spool.Close()
		err = r.deliver(ctx, spool, c, e)
	}
	if ctx.Err() != nil {
		return // the server stops; the next one delivers
	}
	record := ergane.Ending{At: time.Now(), Reason: e.reason, Result: ergane.ResultAt(c.WorkingDirectory), DpuMillis: r.dpuMillis(ctx, e)}
	if err != nil {
		r.log.Error("calculation not delivered", "calculation", c.ID, "error", err)
		e.state = ergane.CalculationFailed
		record.Result = nil
		record.Reason = "the output could not be stored: " + err.Error()
		if e.reason != "" {
			record.Reason += "; the calculation had ended with: " + e.reason
		}
	}
	var mv ergane.CalculationMove
	switch e.state {
	case ergane.CalculationCompleted:
		mv = ergane.CalculationCompletes(c.ID, record)
	case ergane.CalculationCanceled:
		mv = ergane.CalculationCancels(c.ID, record)
	default:
		mv = ergane.CalculationFails(c.ID, record)
	}
	mv.StartedAt = e.started
	mv.Reason = clip(mv.Reason)
	r.persist(ctx, "settle the calculation", func() error {
		s := move(mv.At)
		s.Reason = clip(s.Reason)
		got, now, moved, err := r.m.store.Settle(ctx, mv, s)
		if err != nil {
			return err
		}
		r.m.hub.moved(c.ID, r.id)
		r.log.Info("calculation settled", "calculation", c.ID, "state", got.Status.State, "session_state", now.Status.State, "moved", moved)
		return nil
	})
	if err == nil && spool != nil {
		release(spool, e)
	}
}

// release gives the disk space of delivered output back.
func release(s Spool, e ending) {
	for stream, r := range map[string]ergane.Range{"stdout": e.stdout, "stderr": e.stderr} {
		if r.Len() > 0 {
			_ = s.Release(stream, r) // space comes back with the session at the latest
		}
	}
}

// dpuMillis is what the calculation used: its duration times the coordinator
// and the workers, at least 1 for anything that ran.
func (r *runner) dpuMillis(ctx context.Context, e ending) int64 {
	if e.started.IsZero() {
		return 0
	}
	return max(1, e.ended.Sub(e.started).Milliseconds()) * int64(1+r.workers(ctx))
}

// end settles what is open of a session whose kernel is gone, and moves the
// session to its last state: TERMINATED if that was asked for, FAILED with the
// reason otherwise.
func (r *runner) end(ctx context.Context, reason string) {
	var s ergane.Session
	var open []ergane.Calculation
	r.persist(ctx, "read the session", func() (err error) {
		s, open, err = r.look(ctx)
		return err
	})
	if ctx.Err() != nil {
		return
	}
	terminating := s.Status.State == ergane.SessionTerminating
	for _, c := range open {
		r.settle(ctx, c, r.posthumous(c, reason, terminating), func(at time.Time) ergane.SessionMove {
			return ergane.SessionLost(r.id, at, reason)
		})
		if ctx.Err() != nil {
			return
		}
	}
	r.persist(ctx, "end the session", func() error {
		at := time.Now()
		state := ergane.ExecutorTerminated
		if !terminating {
			state = ergane.ExecutorFailed
		}
		if err := r.m.store.EndExecutors(ctx, r.id, state, at); err != nil {
			return err
		}
		_, moved, err := r.m.moveSession(ctx, ergane.SessionStopped(r.id, at))
		if err != nil || moved {
			return err
		}
		_, _, err = r.m.moveSession(ctx, ergane.SessionLost(r.id, at, reason))
		return err
	})
	if ctx.Err() != nil {
		return
	}
	r.m.hub.moved(r.id)
	if err := r.m.host.Discard(r.id); err != nil {
		r.log.Warn("cannot remove the session's files", "error", err)
	}
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
