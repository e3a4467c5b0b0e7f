package awsjson

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"mime"
	"net/http"
	"runtime/debug"
	"strings"
	"time"
)

// Keys of the log line of each request.
const (
	logOperation   = "operation"
	logAccessKeyID = "access_key_id"
	logStatus      = "status"
	logDurationMs  = "duration_ms"
	logRequestID   = "request_id"
	logErrorType   = "error_type"
	logError       = "error"
	logStack       = "stack"
)

// Config configures a Handler.
type Config struct {
	// TargetPrefix is what X-Amz-Target has before the dot.
	TargetPrefix string
	// Operations by name. The map must not be changed later.
	Operations map[string]Operation
	Verifier   *Verifier
	// ErrorOf makes the answer for an error that an operation returned (except an
	// *Error, which is sent as it is), for a *ValidationError of its input and for a
	// panic, which is an error of no known type. It never returns nil.
	ErrorOf func(error) *Error
	// Admit may refuse a verified request of a caller. It may be nil.
	Admit func(Caller) error
	// Begin is called for every admitted request, before it is carried out. It
	// may be nil.
	Begin func(context.Context, Caller)
	// Permit may refuse a caller this input. It may be nil.
	Permit func(c Caller, in any) error
	// About is the attribute of the request's log line that says what an input is
	// about. It may be nil.
	About func(in any) slog.Attr
	// Observe is called after every answered request. It may be nil.
	Observe func(Answer)
	Log     *slog.Logger
}

// An Answer is how a request was answered.
type Answer struct {
	Operation string // empty if the request names no known one
	Status    int
	ErrorType string // empty if there was no error
	Took      time.Duration
}

// An Operation is one call of the service.
type Operation struct {
	// Input describes the input, a Structure. If it is nil, the body is ignored
	// and in is nil.
	Input *Shape
	// Handle carries out the call. in is what Input.New makes; out is written with
	// encoding/json. The context carries the Caller and ends when the client closes
	// the connection.
	Handle func(ctx context.Context, in any) (out any, err error)
}

// A Handler serves the operations at POST /.
type Handler struct {
	cfg  Config
	room room
}

// NewHandler returns a handler that serves cfg.
func NewHandler(cfg Config) *Handler {
	return &Handler{cfg: cfg, room: room{holders: map[holder]int64{}}}
}

// A request is what is known of one request; each step adds to it, for the answer
// and the log line.
type request struct {
	id, operation, accessKeyID string
	received                   time.Time
	about                      slog.Attr
	status                     int
	known                      bool // the key exists, and its signature is right as far as it was checked
	bodyRead                   bool
	err                        *Error // the answer
	cause                      error  // of an internal error
	stack                      []byte // of a panic
}

func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	q := &request{id: NewRequestID(), received: time.Now()}
	defer func() { h.finish(q, r, time.Since(q.received)) }()

	op, ok := h.route(q, r)
	var answer []byte
	if ok {
		answer = h.serve(q, op, w, r)
	}
	if !q.bodyRead {
		limit := int64(maxDiscardUnknown)
		if q.known {
			limit = maxDiscard
		}
		discard(w, r, limit)
	}
	switch {
	case q.err != nil:
		q.status = q.err.Status
		WriteError(w, q.id, q.err)
	case !ok:
		q.status = http.StatusNotFound
		writeNotFound(w, q.id)
	default:
		q.status = http.StatusOK
		writeBody(w, q.id, q.status, answer)
	}
}

// route finds the operation. If it finds none and sets no error, the request is
// not of this protocol.
func (h *Handler) route(q *request, r *http.Request) (Operation, bool) {
	media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if r.Method != http.MethodPost || r.URL.Path != "/" || err != nil || media != contentType {
		return Operation{}, false
	}
	prefix, name, _ := strings.Cut(r.Header.Get("X-Amz-Target"), ".")
	op, ok := h.cfg.Operations[name]
	if !ok || prefix != h.cfg.TargetPrefix {
		q.err = &Error{Type: "UnknownOperationException", Status: http.StatusBadRequest}
		return Operation{}, false
	}
	q.operation = name
	return op, true
}

// serve carries out a request to an operation and returns the answer's body,
// or sets q.err.
func (h *Handler) serve(q *request, op Operation, w http.ResponseWriter, r *http.Request) (answer []byte) {
	defer func() {
		if p := recover(); p != nil {
			q.stack = debug.Stack()
			h.fail(q, fmt.Errorf("panic: %v", p))
		}
	}()
	caller, in, err := h.receive(q, op, w, r)
	if err != nil {
		h.fail(q, err)
		return nil
	}
	if h.cfg.About != nil && in != nil {
		q.about = h.cfg.About(in)
	}
	if h.cfg.Permit != nil {
		if err := h.cfg.Permit(caller, in); err != nil {
			h.fail(q, err)
			return nil
		}
	}
	out, err := op.Handle(WithCaller(r.Context(), caller), in)
	if err != nil {
		if r.Context().Err() != nil && errors.Is(err, context.Canceled) {
			q.err = interrupted()
		} else {
			h.fail(q, err)
		}
		return nil
	}
	if answer, err = marshal(out); err != nil {
		h.fail(q, fmt.Errorf("encode the answer: %w", err))
		return nil
	}
	return answer
}

// receive verifies the request and returns its caller and input. All that can be
// checked without the body is checked before the body is read.
func (h *Handler) receive(q *request, op Operation, w http.ResponseWriter, r *http.Request) (c Caller, in any, err error) {
	v := h.cfg.Verifier
	claim, secret, err := v.claim(r)
	if err != nil {
		return c, nil, err
	}
	q.accessKeyID = claim.accessKeyID
	if r.ContentLength > MaxBody {
		q.known = true
		return c, nil, tooLarge()
	}
	verified, err := v.checkAhead(r, claim, secret)
	if err != nil {
		return c, nil, err
	}
	q.known = true
	hold := h.room.enter(claim.accessKeyID, verified)
	defer hold.leave()
	body, err := readBody(w, r, hold)
	if err != nil {
		return c, nil, err
	}
	q.bodyRead = true
	if err := v.check(r, claim, secret, body); err != nil {
		return c, nil, err
	}
	if body, err = decompress(r.Header.Get("Content-Encoding"), body, hold); err != nil {
		return c, nil, err
	}
	c = claim.caller(r, q.id)
	if err := h.admit(q, &c, r); err != nil {
		return c, nil, err
	}
	if op.Input != nil {
		in, err = Decode(op.Input, body)
	}
	return c, in, err
}

// admit admits a verified request, or refuses it.
func (h *Handler) admit(q *request, c *Caller, r *http.Request) error {
	c.ReceivedAt = q.received
	if h.cfg.Admit != nil {
		if err := h.cfg.Admit(*c); err != nil {
			return err
		}
	}
	if h.cfg.Begin != nil {
		h.cfg.Begin(r.Context(), *c)
	}
	return nil
}

// fail sets the answer of a failed request: an *Error as it is, every other error
// as Config.ErrorOf says.
func (h *Handler) fail(q *request, err error) {
	if own, ok := errors.AsType[*Error](err); ok {
		q.err = own
	} else {
		q.err = h.cfg.ErrorOf(err)
	}
	if q.err.Status >= http.StatusInternalServerError {
		q.cause = err
	}
}

// interrupted is the answer to a request whose context has ended, because its
// client has gone or the server stops. In the latter case the SDK tries again.
func interrupted() *Error {
	return &Error{Type: "ServiceUnavailableException", Status: http.StatusServiceUnavailable,
		Message: "The request was interrupted. Try again."}
}

// finish calls Observe and logs the request, at ERROR if an internal error ended it.
func (h *Handler) finish(q *request, r *http.Request, took time.Duration) {
	if h.cfg.Observe != nil {
		a := Answer{Operation: q.operation, Status: q.status, Took: took}
		if q.err != nil {
			a.ErrorType = q.err.Type
		}
		h.cfg.Observe(a)
	}
	level := slog.LevelDebug // INFO is for what changes
	if q.cause != nil {
		level = slog.LevelError
	}
	if !h.cfg.Log.Enabled(r.Context(), level) {
		return
	}
	attrs := []slog.Attr{
		slog.String(logOperation, q.operation),
		slog.String(logAccessKeyID, q.accessKeyID),
		slog.Int(logStatus, q.status),
		slog.Float64(logDurationMs, float64(took.Microseconds())/1000),
		slog.String(logRequestID, q.id),
	}
	if q.about.Key != "" {
		attrs = append(attrs, q.about)
	}
	if q.err != nil {
		attrs = append(attrs, slog.String(logErrorType, q.err.Type))
	}
	if q.cause != nil {
		attrs = append(attrs, slog.Any(logError, q.cause))
	}
	if q.stack != nil {
		attrs = append(attrs, slog.String(logStack, string(q.stack)))
	}
	h.cfg.Log.LogAttrs(r.Context(), level, "request", attrs...)
}
