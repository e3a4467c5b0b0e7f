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
	// MaxBody is the maximum size of a body, as sent and decompressed. The largest
	// valid one is a code block of 68,000 characters, each of which takes up to 12
	// bytes in JSON: under 1 MiB. It is more than that so that a code block that is
	// too long is refused by its length, with a sentence that says so.
	MaxBody = 4 << 20
	// maxDiscard is how much of a refused body is read before the answer is sent.
	// A client that is still sending would otherwise see a broken connection
	// instead of the answer. If the key is unknown or the signature is wrong,
	// maxDiscardUnknown is read: no less than a valid body.
	maxDiscard        = 64 << 20
	maxDiscardUnknown = 1 << 20
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
// function removes the limit. It must be called before the operation runs: later,
// net/http would take the deadline for the client closing the connection.
func limitBodyTime(w http.ResponseWriter) (lift func()) {
	rc := http.NewResponseController(w)
	if rc.SetReadDeadline(time.Now().Add(bodyTimeout)) != nil {
		return func() {} // not a network connection
	}
	return func() { _ = rc.SetReadDeadline(time.Time{}) }
}

// discard reads the rest of a refused body, up to a limit. It does not read from
// a client that expects "100 Continue", because reading would ask it to send the
// body; the answer tells it not to. If something is left, the connection is
// closed after the answer; net/http reads some more of it within bodyTimeout.
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
