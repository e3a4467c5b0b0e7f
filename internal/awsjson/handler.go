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

// Keys of the line that each request logs.
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

// Config is what a Handler is made of.
type Config struct {
	// TargetPrefix stands before the dot of X-Amz-Target.
	TargetPrefix string
	// Operations by name. The map must not change any more.
	Operations map[string]Operation
	Verifier   *Verifier
	// ErrorOf says what goes over the wire for an error that an operation
	// returned (but an *Error goes as it is), for a *ValidationError of its
	// input and for a panic, which comes as an error of no known type. It
	// never returns nil.
	ErrorOf func(error) *Error
	// Admit may refuse a request that has been verified, by its caller. It
	// may be nil.
	Admit func(Caller) error
	// Begin is told of every request that has been admitted, before it is
	// carried out. It may be nil.
	Begin func(context.Context, Caller)
	// Permit may refuse a caller this input. It may be nil.
	Permit func(c Caller, in any) error
	// About names what an input is about, for the request's line in the log.
	// It may be nil.
	About func(in any) slog.Attr
	// Observe is told of every request that was answered. It may be nil.
	Observe func(Answer)
	Log     *slog.Logger
}

// An Answer is what became of a request.
type Answer struct {
	Operation string // empty where the request is to none
	Status    int
	ErrorType string // empty if it was carried out
	Took      time.Duration
}

// An Operation is one call of the service.
type Operation struct {
	// Input describes the input, a Structure. If it is nil, the body is not
	// looked at and in is nil.
	Input *Shape
	// Handle carries the call out. in is what Input.New makes; out is written
	// with encoding/json. The context carries the Caller and ends when the
	// client has gone.
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

// A request is what becomes of one request; every part adds what it knows, for
// the log line.
type request struct {
	id, operation, accessKeyID string
	received                   time.Time
	about                      slog.Attr
	status                     int
	known                      bool // the key is one, and nothing speaks against the signature yet
	bodyRead                   bool
	err                        *Error // as answered
	cause                      error  // of a failure of ours
	stack                      []byte // of a panic
}

func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	q := &request{id: NewRequestID(), received: time.Now()}
	defer func() { h.tell(q, r, time.Since(q.received)) }()

	op, ok := h.route(q, r)
	var answer []byte
	if ok {
		answer = h.serve(q, op, w, r)
	}
	if !q.bodyRead {
		limit := int64(maxStranger)
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

// route finds the operation. Where it finds none, and sets no error either,
// the request is none of this protocol.
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
			q.err = brokenOff()
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

// receive verifies the request and returns who sent it and its input. Whatever
// can be checked without the body is checked before it is read.
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

// admit lets a request that has been verified in, or refuses it.
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

// fail settles how the request is answered: an *Error as it is, every other
// error as the service says.
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

// brokenOff ends a request whose context has ended, because its client has gone
// or the server stops. If there still is a client, its SDK tries again.
func brokenOff() *Error {
	return &Error{Type: "ServiceUnavailableException", Status: http.StatusServiceUnavailable,
		Message: "The request was interrupted. Try again."}
}

// tell lets a request be observed and logs it; one that we failed at is an error.
func (h *Handler) tell(q *request, r *http.Request, took time.Duration) {
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
