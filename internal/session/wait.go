package session

import (
	"context"
	"time"

	"github.com/ergane-dev/ergane"
)

// persist repeats a write until it succeeds or the server stops: a runner has no
// caller to return an error to. It returns false if the server stops, or if the
// row is gone because the workgroup was deleted. what, after "cannot", is for the
// log.
func (r *runner) persist(ctx context.Context, what string, write func() error) bool {
	for wait := 50 * time.Millisecond; ; wait = min(2*wait, 5*time.Second) {
		err := write()
		if err == nil {
			return true
		}
		if ctx.Err() != nil || ergane.CodeOf(err) == ergane.CodeNotFound {
			return false
		}
		r.log.Error("cannot "+what+"; trying again", "error", err, "wait", wait)
		if !pause(ctx, wait) {
			return false
		}
	}
}

// pause waits for d; false if ctx ended first.
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
