package fakehost

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"

	"github.com/ergane-dev/ergane"
	"github.com/ergane-dev/ergane/internal/session"
)

// Errors of a Bucket that is made to fail.
var (
	ErrUnreachable = errors.New("connection refused")
	ErrDenied      = errors.New("access denied") // repeating does not help
)

// Bucket is an S3 for results. It outlives servers; each has its own Objects.
type Bucket struct {
	mu      sync.Mutex
	objects map[string][]byte      // by address; guarded by mu
	fault   func(uri string) error // guarded by mu
	hung    chan struct{}          // Puts wait for its close; guarded by mu
	below   string                 // only Puts to addresses with this prefix wait; guarded by mu
}

// NewBucket makes an empty Bucket.
func NewBucket() *Bucket { return &Bucket{objects: map[string][]byte{}} }

// Fail makes every Put and Delete fail for which the function returns an error, which may be nil.
func (b *Bucket) Fail(fault func(uri string) error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.fault = fault
}

// FailTimes makes the next n Puts of each address fail.
func (b *Bucket) FailTimes(n int, err error) {
	failed := map[string]int{}
	b.Fail(func(uri string) error { // called under mu
		if failed[uri]++; failed[uri] <= n {
			return err
		}
		return nil
	})
}

// Hang makes Puts wait until the function that it returns is called.
func (b *Bucket) Hang() (release func()) { return b.HangBelow("") }

// HangBelow is Hang for addresses with the prefix.
func (b *Bucket) HangBelow(prefix string) (release func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	hung := make(chan struct{})
	b.hung, b.below = hung, prefix
	return sync.OnceFunc(func() { close(hung) })
}

// Object is the content of an object; false if there is none.
func (b *Bucket) Object(uri string) (string, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	o, ok := b.objects[uri]
	return string(o), ok
}

// Objects is the bucket for a server that runs on the power given.
func (b *Bucket) Objects(power *Power) *Objects { return &Objects{b, power} }

// Objects is a Bucket as one server sees it. It implements session.Objects.
type Objects struct {
	b     *Bucket
	power *Power
}

var _ session.Objects = (*Objects)(nil)

// Put implements session.Objects.
func (o *Objects) Put(ctx context.Context, uri string, body io.ReaderAt, size int64, contentType string, _ ergane.Delivery) error {
	return o.power.call(ctx, "Put", func(ctx context.Context) error {
		o.b.mu.Lock()
		var err error
		if o.b.fault != nil {
			err = o.b.fault(uri)
		}
		hung := o.b.hung
		if !strings.HasPrefix(uri, o.b.below) {
			hung = nil
		}
		o.b.mu.Unlock()
		if err != nil {
			return fmt.Errorf("put %s: %w", uri, err)
		}
		if contentType == "" {
			return fmt.Errorf("put %s: no content type", uri)
		}
		if hung != nil {
			select {
			case <-hung:
			case <-ctx.Done():
				return context.Cause(ctx)
			}
		}
		content := make([]byte, size)
		if _, err := body.ReadAt(content, 0); err != nil && err != io.EOF {
			return fmt.Errorf("put %s: read the content: %w", uri, err)
		}
		o.b.mu.Lock()
		defer o.b.mu.Unlock()
		o.b.objects[uri] = content
		return nil
	})
}

// Get implements session.Objects.
func (o *Objects) Get(ctx context.Context, uri string, from int64) (body io.ReadCloser, err error) {
	err = o.power.call(ctx, "Get", func(context.Context) error {
		o.b.mu.Lock()
		defer o.b.mu.Unlock()
		content, ok := o.b.objects[uri]
		if !ok {
			return fmt.Errorf("get %s: no such object", uri)
		}
		body = io.NopCloser(bytes.NewReader(slices.Clone(content[min(from, int64(len(content))):])))
		return nil
	})
	return body, err
}

// Delete implements session.Objects.
func (o *Objects) Delete(ctx context.Context, uri string, _ ergane.Delivery) error {
	return o.power.call(ctx, "Delete", func(context.Context) error {
		o.b.mu.Lock()
		defer o.b.mu.Unlock()
		if o.b.fault != nil {
			if err := o.b.fault(uri); err != nil {
				return fmt.Errorf("delete %s: %w", uri, err)
			}
		}
		delete(o.b.objects, uri)
		return nil
	})
}

// Permanent implements session.Objects.
func (o *Objects) Permanent(err error) bool { return errors.Is(err, ErrDenied) }
