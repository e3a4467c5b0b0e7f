package awsjson

import (
	"context"
	"crypto/rand"
	"fmt"
	"net/http"
	"time"
)

// requestIDHeader is spelt as AWS spells it; net/http would change its case.
const requestIDHeader = "x-amzn-RequestId"

// A Caller says who made a verified request, and which request it is.
type Caller struct {
	AccessKeyID string
	Principal   Principal // whom the key speaks for
	Region      string    // of the signature's scope; any is accepted
	RequestID   string    // a UUID, ours; the answer carries it
	// InvocationID is the same for every attempt that an SDK makes at one
	// call (header amz-sdk-invocation-id): at most 128 characters out of
	// A-Z a-z 0-9 - _ . : Empty if there was none, or another one.
	InvocationID string
	ReceivedAt   time.Time
}

type callerKey struct{}

// WithCaller returns a context that carries c.
func WithCaller(ctx context.Context, c Caller) context.Context {
	return context.WithValue(ctx, callerKey{}, c)
}

// CallerFrom returns the caller that ctx carries, or the zero Caller.
func CallerFrom(ctx context.Context) Caller {
	c, _ := ctx.Value(callerKey{}).(Caller)
	return c
}

// NewRequestID returns a random UUID (RFC 9562, version 4).
func NewRequestID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails
	b[6] = b[6]&0x0f | 0x40
	b[8] = b[8]&0x3f | 0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

func invocationID(h http.Header) string {
	id := h.Get("Amz-Sdk-Invocation-Id")
	if !wordOf(id, 128, "-_.:") {
		return ""
	}
	return id
}

// wordOf reports whether s has 1 to limit bytes: ASCII letters, digits and those of more.
func wordOf(s string, limit int, more string) bool {
	if s == "" || len(s) > limit {
		return false
	}
next:
	for i := range len(s) {
		c := s[i]
		if 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' {
			continue
		}
		for j := range len(more) {
			if c == more[j] {
				continue next
			}
		}
		return false
	}
	return true
}
