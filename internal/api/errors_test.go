package api

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ergane-dev/ergane"
	"github.com/ergane-dev/ergane/internal/athena"
	"github.com/ergane-dev/ergane/internal/awsjson"
)

func TestErrorsGoOutAsTheModelHasThem(t *testing.T) {
	t.Parallel()
	input := map[string]string{"AthenaErrorCode": "INVALID_INPUT", "ErrorCode": "INVALID_INPUT"}
	for _, c := range []struct {
		err  error
		want *awsjson.Error
	}{
		{ergane.ErrWorkGroupNotFound(), &awsjson.Error{Type: "InvalidRequestException", Status: 400, Message: "WorkGroup is not found.", Members: input}},
		{fmt.Errorf("wrapped: %w", ergane.ErrSessionState(ergane.SessionBusy)), &awsjson.Error{Type: "InvalidRequestException", Status: 400,
			Message: "Session is in the BUSY state; needs to be IDLE to accept Calculations.", Members: input}},
		{ergane.ErrTokenMismatch(), &awsjson.Error{Type: "InvalidRequestException", Status: 400, Message: "Idempotent parameters do not match",
			Members: map[string]string{"AthenaErrorCode": "IDEMPOTENT_PARAMETER_MISMATCH", "ErrorCode": "IDEMPOTENT_PARAMETER_MISMATCH"}}},
		{&awsjson.ValidationError{Message: "1 validation error detected: …"}, &awsjson.Error{Type: "InvalidRequestException", Status: 400,
			Message: "1 validation error detected: …", Members: input}},
		{ergane.Errorf(ergane.CodeQuota, "Maximum allowed sessions reached"), &awsjson.Error{Type: "TooManyRequestsException", Status: 400,
			Message: "Maximum allowed sessions reached", Members: map[string]string{}}},
		{ergane.Errorf(ergane.CodeThrottled, "Rate exceeded"), &awsjson.Error{Type: "ThrottlingException", Status: 400, Message: "Rate exceeded"}},
		{&ergane.Error{Code: ergane.CodeInternal, Message: "the disk with the secret is full"}, awsjson.InternalError()},
		{fmt.Errorf("wrapped: %w", &ergane.Error{Code: ergane.CodeUnable, Message: "the disk that holds the database is full", Cause: errors.New("a secret")}),
			&awsjson.Error{Type: "InternalServerException", Status: 500,
				Message: "The server could not carry out the request: the disk that holds the database is full. Its operator has to fix that; then try again."}},
		{errors.New("a secret"), awsjson.InternalError()},
	} {
		if diff := cmp.Diff(c.want, errorOf(c.err)); diff != "" {
			t.Errorf("%v (-want +got):\n%s", c.err, diff)
		}
	}
}

func TestEveryOperationOfTheModelIsAnsweredAndTwentyTwoAreOffered(t *testing.T) {
	t.Parallel()
	ops := (&Service{}).operations()
	offered := 0
	for _, op := range athena.Operations {
		got, ok := ops[op.Name]
		switch {
		case !ok:
			t.Errorf("%s is not answered", op.Name)
		case got.Input != nil:
			offered++
		default:
			_, err := got.Handle(context.Background(), nil)
			if ergane.CodeOf(err) != ergane.CodeInvalid || !strings.HasPrefix(err.Error(), op.Name+" is not offered") {
				t.Errorf("%s: %v", op.Name, err)
			}
		}
	}
	if offered != 22 {
		t.Errorf("%d operations are offered, want 22", offered)
	}
}
