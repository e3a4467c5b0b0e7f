package delivery_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ergane-dev/ergane"
	"github.com/ergane-dev/ergane/internal/delivery"
)

func TestHowACalculationEndsFollowsFromItsCodeAndItsDelivery(t *testing.T) {
	t.Parallel()
	c := ergane.Calculation{ID: "c", WorkingDirectory: "s3://b/c"}
	begun, at := time.Unix(1, 0), time.Unix(9, 0)
	result := ergane.ResultAt(c.WorkingDirectory)
	ten, undelivered := ergane.Range{Start: 5, End: 15}, &ergane.Undelivered{Stdout: ergane.Range{Start: 5, End: 15}, Outputs: 7}
	unreachable, gone := errors.New("connection refused"), fmt.Errorf("%w: 3 bytes are gone", delivery.ErrSpool)
	for name, row := range map[string]struct {
		o           ergane.Outcome
		undelivered error
		state       ergane.CalculationState
		reason      string
		result      *ergane.CalculationResult
		pending     *ergane.Undelivered
		tooLong     ergane.Stream
	}{
		"completed":                     {ergane.Outcome{State: ergane.CalculationCompleted, Stdout: ten}, nil, ergane.CalculationCompleted, "", result, nil, ""},
		"failed":                        {ergane.Outcome{State: ergane.CalculationFailed, Reason: "ValueError: bad"}, nil, ergane.CalculationFailed, "ValueError: bad", result, nil, ""},
		"stopped":                       {ergane.Outcome{State: ergane.CalculationCanceled, Reason: "asked"}, nil, ergane.CalculationCanceled, "asked", result, nil, ""},
		"completed and not delivered":   {ergane.Outcome{State: ergane.CalculationCompleted, Stdout: ten, Outputs: 7}, unreachable, ergane.CalculationFailed, "the output could not be stored: connection refused", nil, undelivered, ""},
		"stopped and not delivered":     {ergane.Outcome{State: ergane.CalculationCanceled, Reason: "asked", Stdout: ten, Outputs: 7}, unreachable, ergane.CalculationFailed, "the output could not be stored: connection refused; the calculation had ended with: asked", nil, undelivered, ""},
		"its output is gone":            {ergane.Outcome{State: ergane.CalculationCompleted, Stdout: ten}, gone, ergane.CalculationFailed, "the output could not be stored: the spool is damaged: 3 bytes are gone", nil, nil, ""},
		"cannot be read":                {ergane.Outcome{State: ergane.CalculationFailed, Reason: "killed", Unread: unreachable}, unreachable, ergane.CalculationFailed, "the output could not be stored: connection refused; the calculation had ended with: killed", nil, &ergane.Undelivered{Unread: true}, ""},
		"printed too much":              {ergane.Outcome{State: ergane.CalculationCompleted, Stderr: ergane.Range{End: 101}}, nil, ergane.CalculationFailed, "the calculation was stopped because it wrote more than 100 bytes to stderr", result, nil, ergane.Stderr},
		"printed too much and failed":   {ergane.Outcome{State: ergane.CalculationFailed, Reason: "x", Stdout: ergane.Range{End: 101}}, nil, ergane.CalculationFailed, "x", result, nil, ""},
		"its reason is longer than may": {ergane.Outcome{State: ergane.CalculationFailed, Reason: strings.Repeat("x", 2000)}, nil, ergane.CalculationFailed, strings.Repeat("x", ergane.MaxReason-1) + "…", result, nil, ""},
	} {
		row.o.StartedAt = begun
		mv, tooLong := delivery.Decide(c, row.o, row.undelivered, 100, at)
		if mv.To != row.state || mv.Reason != row.reason || !mv.At.Equal(at) || !mv.StartedAt.Equal(begun) || tooLong != row.tooLong {
			t.Errorf("%s: %s (%s) at %v from %v, too long %q", name, mv.To, mv.Reason, mv.At, mv.StartedAt, tooLong)
		}
		if diff := cmp.Diff(row.result, mv.Result) + cmp.Diff(row.pending, mv.Undelivered); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}
