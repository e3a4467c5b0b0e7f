package session

import (
	"errors"
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
	// unread says why none of this could be read from the spool, where that may pass.
	unread error
}

// empty reports whether there is nothing to deliver but empty objects.
func (e ending) empty() bool {
	return e.unread == nil && e.stdout.Len() == 0 && e.stderr.Len() == 0 && e.outputs == 0
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

// decide is how a calculation ends: as its code did, unless its output could
// not be delivered or was too long. What is undelivered and may be delivered
// later is owed. broken is the limit on output, if it broke that one.
func decide(c ergane.Calculation, e ending, undelivered error, maxOutput int64, at time.Time) (mv ergane.CalculationMove, broken breach) {
	record := ergane.Ending{At: at, Reason: e.reason, Result: ergane.ResultAt(c.WorkingDirectory)}
	if undelivered != nil {
		e.state = ergane.CalculationFailed
		record.Result = nil
		record.Reason = "the output could not be stored: " + undelivered.Error()
		if !errors.Is(undelivered, ErrSpool) {
			record.Owed = &ergane.Owed{Stdout: e.stdout, Stderr: e.stderr, Outputs: e.outputs, Unread: e.unread != nil}
		}
		if e.reason != "" {
			record.Reason += "; the calculation had ended with: " + e.reason
		}
	}
	if stream := e.longer(maxOutput); stream != "" && e.state == ergane.CalculationCompleted {
		broken = overLimit(stream, maxOutput)
		e.state, record.Reason = ergane.CalculationFailed, broken.sentence
	}
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
	return mv, broken
}

// longer names a stream that is longer than what is delivered of it. Code that
// prints is stopped at the limit, but a file grows without printing, too,
// faster than anybody watches.
func (e ending) longer(limit int64) string {
	switch {
	case e.stdout.Len() > limit:
		return "stdout"
	case e.stderr.Len() > limit:
		return "stderr"
	}
	return ""
}
