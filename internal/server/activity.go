package server

import (
	"context"
	"net/http"
	"sync"
	"time"
)

// activity knows when the last client was there.
type activity struct {
	mu     sync.Mutex
	inside int
	last   time.Time
	closed bool // nobody is let in any more
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

// closeIdle closes the door if no client has been there for d and free holds;
// a client that comes later gets an error that says so, and finds or starts another server.
func (a *activity) closeIdle(d time.Duration, free func() bool) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.inside > 0 || !free() {
		a.last = time.Now()
	}
	a.closed = time.Since(a.last) > d
	return a.closed
}

// awaitIdle returns when no client was there and free held for d, and closes
// the door; or when ctx ended.
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
