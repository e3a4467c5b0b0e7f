package awsjson

import (
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
	"time"
)

// A Stream is a call beside the protocol: a request without a body, signed like
// the others, whose answer is bytes as they come.
type Stream struct {
	// Name stands for the operation in the log and to Observe.
	Name string
	// About names what a request is about, for its line in the log.
	About func(*http.Request) slog.Attr
	// Handle writes the answer. An error before the first byte is answered as
	// one of an operation is; after it the connection is broken, so that the
	// client sees that this is not the end.
	Handle func(w http.ResponseWriter, r *http.Request, c Caller) error
}

// Stream serves s as the operations are: verified, admitted, permitted a nil
// input, logged and observed.
func (h *Handler) Stream(s Stream) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		q := &request{id: NewRequestID(), received: time.Now(), operation: s.Name, about: s.About(r)}
		defer func() { h.tell(q, r, time.Since(q.received)) }()
		answer := &begun{ResponseWriter: w}
		err := h.stream(q, s, answer, r)
		if q.status = http.StatusOK; err == nil {
			return
		}
		if r.Context().Err() != nil {
			q.err = brokenOff()
		} else {
			h.fail(q, err)
		}
		q.status = q.err.Status
		if answer.yes {
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

// begun knows whether anything of the answer has been sent.
type begun struct {
	http.ResponseWriter
	yes bool
}

func (b *begun) WriteHeader(status int) {
	b.yes = true
	b.ResponseWriter.WriteHeader(status)
}

func (b *begun) Write(p []byte) (int, error) {
	b.yes = true
	return b.ResponseWriter.Write(p)
}

// Unwrap is for http.ResponseController.
func (b *begun) Unwrap() http.ResponseWriter { return b.ResponseWriter }
