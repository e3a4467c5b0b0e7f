package session

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ergane-dev/ergane"
)

func TestHowACalculationEndsFollowsFromItsCodeAndItsDelivery(t *testing.T) {
	t.Parallel()
	c := ergane.Calculation{ID: "c", WorkingDirectory: "s3://b/c"}
	begun, at := time.Unix(1, 0), time.Unix(9, 0)
	result := ergane.ResultAt(c.WorkingDirectory)
	ten, owed := ergane.Range{Start: 5, End: 15}, &ergane.Owed{Stdout: ergane.Range{Start: 5, End: 15}, Outputs: 7}
	away, gone := errors.New("connection refused"), fmt.Errorf("%w: 3 bytes are gone", ErrSpool)
	for name, row := range map[string]struct {
		e           ending
		undelivered error
		state       ergane.CalculationState
		reason      string
		result      *ergane.CalculationResult
		owed        *ergane.Owed
		limit       string
	}{
		"completed":                     {ending{state: ergane.CalculationCompleted, stdout: ten}, nil, ergane.CalculationCompleted, "", result, nil, ""},
		"failed":                        {ending{state: ergane.CalculationFailed, reason: "ValueError: bad"}, nil, ergane.CalculationFailed, "ValueError: bad", result, nil, ""},
		"stopped":                       {ending{state: ergane.CalculationCanceled, reason: "asked"}, nil, ergane.CalculationCanceled, "asked", result, nil, ""},
		"completed and not delivered":   {ending{state: ergane.CalculationCompleted, stdout: ten, outputs: 7}, away, ergane.CalculationFailed, "the output could not be stored: connection refused", nil, owed, ""},
		"stopped and not delivered":     {ending{state: ergane.CalculationCanceled, reason: "asked", stdout: ten, outputs: 7}, away, ergane.CalculationFailed, "the output could not be stored: connection refused; the calculation had ended with: asked", nil, owed, ""},
		"its output is gone":            {ending{state: ergane.CalculationCompleted, stdout: ten}, gone, ergane.CalculationFailed, "the output could not be stored: the spool is damaged: 3 bytes are gone", nil, nil, ""},
		"cannot be read":                {ending{state: ergane.CalculationFailed, reason: "killed", unread: away}, away, ergane.CalculationFailed, "the output could not be stored: connection refused; the calculation had ended with: killed", nil, &ergane.Owed{Unread: true}, ""},
		"printed too much":              {ending{state: ergane.CalculationCompleted, stderr: ergane.Range{End: 101}}, nil, ergane.CalculationFailed, "the calculation was stopped because it wrote more than 100 bytes to stderr", result, nil, limitOutput},
		"printed too much and failed":   {ending{state: ergane.CalculationFailed, reason: "x", stdout: ergane.Range{End: 101}}, nil, ergane.CalculationFailed, "x", result, nil, ""},
		"its reason is longer than may": {ending{state: ergane.CalculationFailed, reason: strings.Repeat("x", 2000)}, nil, ergane.CalculationFailed, strings.Repeat("x", maxReason-1) + "…", result, nil, ""},
	} {
		row.e.started = begun
		mv, broken := decide(c, row.e, row.undelivered, 100, at)
		if mv.To != row.state || mv.Reason != row.reason || !mv.At.Equal(at) || !mv.StartedAt.Equal(begun) || broken.limit != row.limit {
			t.Errorf("%s: %s (%s) at %v from %v, limit %q", name, mv.To, mv.Reason, mv.At, mv.StartedAt, broken.limit)
		}
		if diff := cmp.Diff(row.result, mv.Result) + cmp.Diff(row.owed, mv.Owed); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}
