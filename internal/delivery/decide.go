package delivery

import (
	"errors"
	"fmt"
	"time"

	"github.com/ergane-dev/ergane"
)

// Decide returns how a calculation ends: as its outcome says, unless its output
// could not be delivered, or a stream has more than maxOutput bytes; that stream
// is tooLong. If the output can be delivered later, the move says what is
// undelivered.
func Decide(c ergane.Calculation, o ergane.Outcome, undelivered error, maxOutput int64, now time.Time) (mv ergane.CalculationMove, tooLong ergane.Stream) {
	state, reason := o.State, o.Reason
	if undelivered != nil {
		state, reason = ergane.CalculationFailed, "the output could not be stored: "+undelivered.Error()
		if o.Reason != "" {
			reason += "; the calculation had ended with: " + o.Reason
		}
	}
	if state == ergane.CalculationCompleted {
		if tooLong = longer(o, maxOutput); tooLong != "" {
			state, reason = ergane.CalculationFailed, TooLong(tooLong, maxOutput)
		}
	}
	reason = ergane.Shorten(reason, ergane.MaxReason)
	switch state {
	case ergane.CalculationCompleted:
		mv = ergane.CalculationCompletes(c.ID, now)
	case ergane.CalculationCanceled:
		mv = ergane.CalculationCancels(c.ID, now, reason)
	default:
		mv = ergane.CalculationFails(c.ID, now, reason)
	}
	mv.StartedAt = o.StartedAt
	switch {
	case undelivered == nil:
		mv.Result = ergane.ResultAt(c.WorkingDirectory)
	case !errors.Is(undelivered, ErrSpool):
		mv.Undelivered = &ergane.Undelivered{Stdout: o.Stdout, Stderr: o.Stderr, Outputs: o.Outputs, Unread: o.Unread != nil}
	}
	return mv, tooLong
}

// longer names a stream of more than maxOutput bytes; empty if there is none.
// Code that prints is stopped at the limit, but the file may grow faster than its
// size is checked.
func longer(o ergane.Outcome, limit int64) ergane.Stream {
	for _, stream := range ergane.Streams {
		if o.Printed(stream).Len() > limit {
			return stream
		}
	}
	return ""
}

// TooLong is the reason of a calculation that wrote too much to a stream.
func TooLong(stream ergane.Stream, limit int64) string {
	return fmt.Sprintf("the calculation was stopped because it wrote more than %d bytes to %s", limit, stream)
}
