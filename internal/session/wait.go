package session

import (
	"context"
	"time"

	"github.com/ergane-dev/ergane"
)

// persist repeats a write until it succeeds or the server stops: a runner has
// nobody to hand an error to, and the store comes back or the server ends.
// False says that it did not succeed: the server stops, or the thing is gone,
// which a session and all that is its own are after its workgroup was deleted.
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
