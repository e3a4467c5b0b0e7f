package ergane

import (
	"errors"
	"fmt"
)

// Code says what kind of failure an Error is. The protocol edge maps each
// code to one modelled exception of Athena, in one table (internal/api).
type Code string

const (
	// CodeInvalid: the request is wrong; repeating it does not help.
	CodeInvalid Code = "invalid"
	// CodeNotFound: there is nothing of that name or id.
	CodeNotFound Code = "not_found"
	// CodeState: the resource exists, but its state does not allow the request.
	CodeState Code = "state"
	// CodeMismatch: an idempotency token was used before, with other parameters.
	CodeMismatch Code = "mismatch"
	// CodeQuota: a limit on how many may exist at once is reached.
	CodeQuota Code = "quota"
	// CodeThrottled: too many requests in too short a time.
	CodeThrottled Code = "throttled"
	// CodeUnable: the server cannot carry out the request for a reason that its
	// operator can fix; the message is half a sentence that names it.
	CodeUnable Code = "unable"
	// CodeInternal: a failure inside the server. Its message is never shown to a client.
	CodeInternal Code = "internal"
)

// Error is the one error type that travels inside Ergane. Message is a
// sentence that is safe to send to a client; Cause is for the log only.
type Error struct {
	Code    Code
	Message string
	Cause   error
}

func (e *Error) Error() string {
	if e.Cause != nil {
		return e.Message + ": " + e.Cause.Error()
	}
	return e.Message
}

func (e *Error) Unwrap() error { return e.Cause }

// Errorf makes an Error of a code with a sentence for the client.
func Errorf(code Code, format string, args ...any) *Error {
	return &Error{Code: code, Message: fmt.Sprintf(format, args...)}
}

// CodeOf returns the code of the first Error in err's chain, and
// CodeInternal for every other error that is not nil.
func CodeOf(err error) Code {
	if err == nil {
		return ""
	}
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Code
	}
	return CodeInternal
}

// Errors that several packages return, with the sentences that Athena's clients
// match (docs/compatibility.md gives the evidence for each).

// ErrWorkGroupNotFound is the answer to an unknown workgroup.
func ErrWorkGroupNotFound() error { return Errorf(CodeNotFound, "WorkGroup is not found.") }

// ErrWorkGroupDisabled refuses work for a workgroup that is DISABLED.
func ErrWorkGroupDisabled(name string) error {
	return Errorf(CodeInvalid, "WorkGroup %s is disabled.", name)
}

// ErrSessionNotFound is the answer to an unknown session id. PyAthena takes
// exactly InvalidRequestException as "not found".
func ErrSessionNotFound(id string) error {
	return Errorf(CodeNotFound, "Session %s was not found", id)
}

// ErrCalculationNotFound is the answer to an unknown calculation id.
func ErrCalculationNotFound(id string) error {
	return Errorf(CodeNotFound, "Calculation %s was not found", id)
}

// ErrSessionState refuses a calculation of a session that is not IDLE.
// dbt-athena matches the sentence byte for byte.
func ErrSessionState(s SessionState) error {
	if s == SessionDegraded {
		return Errorf(CodeState, "Session is in the %s state; needs to be IDLE to accept Calculations. Its Spark driver has died: start a new session.", s)
	}
	return Errorf(CodeState, "Session is in the %s state; needs to be IDLE to accept Calculations.", s)
}

// ErrTokenMismatch refuses an idempotency token that was used before with other parameters.
func ErrTokenMismatch() error {
	return Errorf(CodeMismatch, "Idempotent parameters do not match")
}
