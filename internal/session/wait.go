package session

import (
	"context"
	"time"
)

// persist repeats a write until it succeeds or the server stops: a runner has
// nobody to hand an error to, and the store comes back or the server ends.
func (r *runner) persist(ctx context.Context, what string, write func() error) {
	for wait := 50 * time.Millisecond; ; wait = min(2*wait, 5*time.Second) {
		err := write()
		if err == nil || ctx.Err() != nil {
			return
		}
		r.log.Error("cannot "+what+"; trying again", "error", err, "wait", wait)
		if !pause(ctx, wait) {
			return
		}
	}
}

// pause waits; false when ctx ended.
func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

func isClosed(ch <-chan struct{}) bool {
	select {
	case <-ch:
		return true
	default:
		return false
	}
}
