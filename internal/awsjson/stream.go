package awsjson

import (
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
	"time"
)

// A Stream is a call outside of the protocol: a request without a body, signed
// like the others, whose answer is a stream of bytes.
type Stream struct {
	// Name is the operation's name in the log and for Observe.
	Name string
	// About is the attribute of the log line that says what a request is about.
	About func(*http.Request) slog.Attr
	// Handle writes the answer. An error before the first byte is answered like
	// that of an operation; after it the connection is closed, so that the client
	// sees that the answer is incomplete.
	Handle func(w http.ResponseWriter, r *http.Request, c Caller) error
}

// Stream serves s like an operation: a request is verified, admitted, permitted
// (with a nil input), logged and observed.
func (h *Handler) Stream(s Stream) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		q := &request{id: NewRequestID(), received: time.Now(), operation: s.Name, about: s.About(r)}
		defer func() { h.finish(q, r, time.Since(q.received)) }()
		answer := &tracked{ResponseWriter: w}
		err := h.stream(q, s, answer, r)
		if q.status = http.StatusOK; err == nil {
			return
		}
		if r.Context().Err() != nil {
			q.err = interrupted()
		} else {
			h.fail(q, err)
		}
		q.status = q.err.Status
		if answer.sent {
			panic(http.ErrAbortHandler)
		}
		WriteError(w, q.id, q.err)
	})
}

func (h *Handler) stream(q *request, s Stream, w http.ResponseWriter, r *http.Request) (err error) {
	defer func() {
		if p := recover(); p != nil {
			q.stack = debug.Stack()
			err = fmt.Errorf("panic: %v", p)
		}
	}()
	c, err := h.cfg.Verifier.Verify(r, nil)
	if err != nil {
		return err
	}
	q.accessKeyID, c.RequestID = c.AccessKeyID, q.id
	if err := h.admit(q, &c, r); err != nil {
		return err
	}
	if h.cfg.Permit != nil {
		if err := h.cfg.Permit(c, nil); err != nil {
			return err
		}
	}
	return s.Handle(w, r.WithContext(WithCaller(r.Context(), c)), c)
}

// tracked records whether a part of the answer has been sent.
type tracked struct {
	http.ResponseWriter
	sent bool
}

func (t *tracked) WriteHeader(status int) {
	t.sent = true
	t.ResponseWriter.WriteHeader(status)
}

func (t *tracked) Write(p []byte) (int, error) {
	t.sent = true
	return t.ResponseWriter.Write(p)
}

// Unwrap is for http.ResponseController.
func (t *tracked) Unwrap() http.ResponseWriter { return t.ResponseWriter }
