package server

import (
	"context"
	"net/http"
	"sync"
	"time"
)

// activity knows when the last request was.
type activity struct {
	mu     sync.Mutex
	inside int
	last   time.Time
	closed bool // new requests are refused
}

// count makes every request count as activity while it lasts.
func (a *activity) count(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !a.enter() {
			w.Header().Set("Connection", "close")
			http.Error(w, "the server is shutting down", http.StatusServiceUnavailable)
			return
		}
		defer a.add(-1)
		next.ServeHTTP(w, r)
	})
}

func (a *activity) enter() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.closed {
		return false
	}
	a.inside++
	return true
}

func (a *activity) add(n int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.inside += n
	a.last = time.Now()
}

// closeIdle refuses new requests from now on if there was none for d and free
// holds; a later client gets an error that says so, and finds or starts another server.
func (a *activity) closeIdle(d time.Duration, free func() bool) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.inside > 0 || !free() {
		a.last = time.Now()
	}
	a.closed = time.Since(a.last) > d
	return a.closed
}

// awaitIdle returns when there was no request for d and free holds, and refuses
// new requests from then on; or when ctx ended.
func (a *activity) awaitIdle(ctx context.Context, d time.Duration, free func() bool) {
	a.add(0) // the start counts
	tick := time.NewTicker(min(d/4+time.Millisecond, time.Second))
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			if a.closeIdle(d, free) {
				return
			}
		}
	}
}
