package awsjson

import (
	"bytes"
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"slices"
	"strconv"
)

// An Error is an error as it goes over the wire.
type Error struct {
	Type    string // __type: the name without a namespace
	Status  int    // the HTTP status
	Message string // left out if empty
	// Members are the further members of the modelled error.
	Members map[string]string
}

func (e *Error) Error() string {
	if e.Message == "" {
		return e.Type
	}
	return e.Type + ": " + e.Message
}

// MarshalJSON writes __type first and then the members by name.
func (e *Error) MarshalJSON() ([]byte, error) {
	members := maps.Clone(e.Members)
	if members == nil {
		members = map[string]string{}
	}
	if e.Message != "" {
		members["Message"] = e.Message
	}
	out := append([]byte(`{"__type":`), quote(e.Type)...)
	for _, name := range slices.Sorted(maps.Keys(members)) {
		out = append(append(append(append(out, ','), quote(name)...), ':'), quote(members[name])...)
	}
	return append(out, '}'), nil
}

// InternalError is the answer to every failure inside the server. Details are
// only logged, with the request id.
func InternalError() *Error {
	return &Error{
		Type:    "InternalServerException",
		Status:  http.StatusInternalServerError,
		Message: "An internal error occurred. The server's log has the cause under this request's id.",
	}
}

// WriteError answers with err in the form of AWS JSON: an *Error as it is, any
// other error as InternalError.
func WriteError(w http.ResponseWriter, requestID string, err error) {
	e, ok := errors.AsType[*Error](err)
	if !ok {
		e = InternalError()
	}
	body, _ := e.MarshalJSON() // never fails
	writeBody(w, requestID, e.Status, body)
}

const contentType = "application/x-amz-json-1.1"

func writeBody(w http.ResponseWriter, requestID string, status int, body []byte) {
	h := w.Header()
	h.Set("Content-Type", contentType)
	h.Set("Content-Length", strconv.Itoa(len(body)))
	h[requestIDHeader] = []string{requestID}
	w.WriteHeader(status)
	_, _ = w.Write(body) // fails only if the client has gone
}

// writeNotFound is AWS's answer to a request that is not of this protocol.
func writeNotFound(w http.ResponseWriter, requestID string) {
	const body = "<UnknownOperationException/>\n"
	h := w.Header()
	h.Set("Content-Type", "application/xml")
	h.Set("Content-Length", strconv.Itoa(len(body)))
	h[requestIDHeader] = []string{requestID}
	w.WriteHeader(http.StatusNotFound)
	_, _ = w.Write([]byte(body))
}

// marshal is json.Marshal without its escapes for HTML.
func marshal(v any) ([]byte, error) {
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(out.Bytes(), []byte("\n")), nil
}

func quote(s string) []byte {
	b, _ := marshal(s) // a string always marshals
	return b
}
