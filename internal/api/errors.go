package api

import (
	"errors"
	"net/http"

	"github.com/ergane-dev/ergane"
	"github.com/ergane-dev/ergane/internal/athena"
	"github.com/ergane-dev/ergane/internal/awsjson"
)

// athenaErrorCodes are the AthenaErrorCode members of InvalidRequestException.
var athenaErrorCodes = map[ergane.Code]string{
	ergane.CodeInvalid:  "INVALID_INPUT",
	ergane.CodeNotFound: "INVALID_INPUT", // not ResourceNotFoundException: PyAthena takes exactly this as "not found"
	ergane.CodeState:    "INVALID_INPUT",
	ergane.CodeMismatch: "IDEMPOTENT_PARAMETER_MISMATCH",
}

// errorOf maps the errors of the domain to the modelled exceptions. Every other
// error is internal: its text is only logged.
func errorOf(err error) *awsjson.Error {
	if v, ok := errors.AsType[*awsjson.ValidationError](err); ok {
		err = ergane.Errorf(ergane.CodeInvalid, "%s", v.Message)
	}
	e, ok := errors.AsType[*ergane.Error](err)
	if !ok {
		return awsjson.InternalError()
	}
	switch e.Code {
	case ergane.CodeInvalid, ergane.CodeNotFound, ergane.CodeState, ergane.CodeMismatch:
		code := athenaErrorCodes[e.Code]
		w := athena.InvalidRequestException{AthenaErrorCode: &code, Message: &e.Message}.Wire()
		w.Members["ErrorCode"] = code // AWS repeats it
		return w
	case ergane.CodeQuota:
		return athena.TooManyRequestsException{Message: &e.Message}.Wire()
	case ergane.CodeThrottled:
		return &awsjson.Error{Type: "ThrottlingException", Status: http.StatusBadRequest, Message: e.Message}
	case ergane.CodeUnable:
		w := awsjson.InternalError()
		w.Message = "The server could not carry out the request: " + e.Message + ". Its operator has to fix that; then try again."
		return w
	default:
		return awsjson.InternalError()
	}
}
