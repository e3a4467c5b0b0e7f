package child

import (
	"context"
	"time"
)

// AwaitUnused waits until a process that outlives its server should end. It calls
// used in the interval every, and returns true when longEnough returns true for
// the time since the last use; false when ctx ends first.
func AwaitUnused(ctx context.Context, every time.Duration, used func() bool, longEnough func(unused time.Duration) bool) bool {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for last := time.Now(); ; {
		select {
		case <-ctx.Done():
			return false
		case <-tick.C:
		}
		if used() {
			last = time.Now()
		} else if longEnough(time.Since(last)) {
			return true
		}
	}
}
