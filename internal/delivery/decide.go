package delivery

import (
	"errors"
	"fmt"
	"time"

	"github.com/ergane-dev/ergane"
)

// Decide is how a calculation ends: as its outcome says, unless its output
// could not be delivered, or more than maxOutput bytes were printed to a
// stream, which is named then. What is undelivered and can be delivered later
// is part of the move.
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

// longer names a stream that is longer than what is delivered of it. Code that
// prints is stopped at the limit, but a file grows without printing, too,
// faster than anybody watches.
func longer(o ergane.Outcome, limit int64) ergane.Stream {
	for _, stream := range ergane.Streams {
		if o.Printed(stream).Len() > limit {
			return stream
		}
	}
	return ""
}

// TooLong is the reason of a calculation that printed too much.
func TooLong(stream ergane.Stream, limit int64) string {
	return fmt.Sprintf("the calculation was stopped because it wrote more than %d bytes to %s", limit, stream)
}
