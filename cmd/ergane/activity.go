package main

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
}

// count makes every request count as activity while it lasts.
func (a *activity) count(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		a.add(1)
		defer a.add(-1)
		next.ServeHTTP(w, r)
	})
}

func (a *activity) add(n int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.inside += n
	a.last = time.Now()
}

// idle is how long no client has been there.
func (a *activity) idle() time.Duration {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.inside > 0 {
		return 0
	}
	return time.Since(a.last)
}

// awaitIdle returns when no client was there and free held for d, or ctx ended.
func (a *activity) awaitIdle(ctx context.Context, d time.Duration, free func() bool) {
	a.add(0) // the start counts
	tick := time.NewTicker(min(d/4+time.Millisecond, time.Second))
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			if !free() {
				a.add(0)
			} else if a.idle() > d {
				return
			}
		}
	}
}
