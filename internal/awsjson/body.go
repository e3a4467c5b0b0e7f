package awsjson

import (
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"net/http"
	"os"
	"strings"
	"time"
)

const (
	// MaxBody is how large a body may be, sent and decompressed. The longest
	// valid one is a code block of 68,000 characters, each of which JSON may
	// spell in 12 bytes: under 1 MiB. The room above lets a block that is too
	// long be refused by its length, in words that help.
	MaxBody = 4 << 20
	// maxDiscard is how much of a refused body is read before it is answered.
	// A client that is still sending would otherwise see a broken connection
	// in place of the answer. From those that name no key which there is, or
	// whose signature is seen to be wrong, no more is read than a valid body has.
	maxDiscard  = 64 << 20
	maxStranger = 1 << 20
	// bodyTimeout is how long a client may take to send its body.
	bodyTimeout = 30 * time.Second
)

// readBody reads the request's body as it was sent.
func readBody(w http.ResponseWriter, r *http.Request, h *hold) ([]byte, error) {
	defer limitBodyTime(w)()
	var body bytes.Buffer
	if r.ContentLength > 0 {
		body.Grow(int(min(r.ContentLength, freeBody)) + bytes.MinRead)
	}
	_, err := body.ReadFrom(h.reader(io.LimitReader(r.Body, MaxBody+1)))
	switch {
	case errors.Is(err, errNoRoom):
		return nil, err
	case errors.Is(err, os.ErrDeadlineExceeded):
		return nil, &Error{Type: "RequestTimeoutException", Status: http.StatusRequestTimeout,
			Message: "The request body did not arrive within " + bodyTimeout.String() + "."}
	case err != nil:
		return nil, &Error{Type: "RequestAbortedException", Status: http.StatusBadRequest,
			Message: "The request body ended early."}
	case body.Len() > MaxBody:
		return nil, tooLarge()
	}
	return body.Bytes(), nil
}

// decompress undoes the body's Content-Encoding.
func decompress(encoding string, body []byte, h *hold) ([]byte, error) {
	switch strings.ToLower(encoding) {
	case "", "identity":
		return body, nil
	case "gzip":
	default:
		return nil, malformedRequest("Content-Encoding must be gzip, identity or absent.")
	}
	zr, err := gzip.NewReader(bytes.NewReader(body))
	if err != nil {
		return nil, malformedRequest("The body is not gzip, as its Content-Encoding says.")
	}
	var plain bytes.Buffer
	_, err = plain.ReadFrom(h.reader(io.LimitReader(zr, MaxBody+1)))
	switch {
	case errors.Is(err, errNoRoom):
		return nil, err
	case err != nil:
		return nil, malformedRequest("The body is not gzip, as its Content-Encoding says.")
	case plain.Len() > MaxBody:
		return nil, tooLarge()
	}
	return plain.Bytes(), nil
}

// limitBodyTime gives the client bodyTimeout to send its body; the returned
// function lifts the limit. It has to be lifted before the operation runs: to
// net/http a deadline that passes then looks as if the client had gone.
func limitBodyTime(w http.ResponseWriter) (lift func()) {
	rc := http.NewResponseController(w)
	if rc.SetReadDeadline(time.Now().Add(bodyTimeout)) != nil {
		return func() {} // not a network connection
	}
	return func() { _ = rc.SetReadDeadline(time.Time{}) }
}

// discard reads what is left of a refused body, up to a limit. A client that
// waits to be told whether to send a body that readBody has not begun is told by
// the answer; to read would be to ask for it. Where something is left, the
// connection is closed after the answer, and net/http, which reads some more,
// keeps the limit of time.
func discard(w http.ResponseWriter, r *http.Request, limit int64) {
	waits := strings.EqualFold(r.Header.Get("Expect"), "100-continue") && r.ContentLength >= 0
	if r.Body == nil || r.Body == http.NoBody || waits {
		return
	}
	lift := limitBodyTime(w)
	if n, err := io.CopyN(io.Discard, r.Body, limit+1); n <= limit && err == io.EOF {
		lift()
		return
	}
	w.Header().Set("Connection", "close")
}

func tooLarge() *Error {
	return &Error{Type: "RequestEntityTooLargeException", Status: http.StatusRequestEntityTooLarge,
		Message: "The request body is larger than 4 MiB."}
}

func malformedRequest(message string) *Error {
	return &Error{Type: "MalformedHttpRequestException", Status: http.StatusBadRequest, Message: message}
}
