package session

import (
	"context"
	"fmt"
	"math"
	"sync"
	"time"
)

// diskIdleEvery is the pause between measurements of a session's folder while
// no calculation runs: threads and processes of earlier ones may write on.
const diskIdleEvery = 30 * time.Second

// An idleWatch measures the session's folder from the end of a calculation to
// the start of the next.
type idleWatch struct {
	broken chan breach
	cancel context.CancelFunc
	over   sync.WaitGroup
}

// watchDisk starts the measuring unless it runs already. It returns the channel
// to which a broken limit is sent; nil if there is no limit.
func (r *runner) watchDisk(ctx context.Context) <-chan breach {
	if r.m.cfg.MaxDisk <= 0 {
		return nil
	}
	if r.watch == nil {
		work, cancel := context.WithCancel(ctx)
		w := &idleWatch{broken: make(chan breach, 1), cancel: cancel}
		cleanup := r.cleanup
		w.over.Go(func() { r.boundIdle(work, cleanup, w.broken) })
		r.watch = w
	}
	return r.watch.broken
}

// unwatch stops the measuring, and waits until it has stopped.
func (r *runner) unwatch() {
	if r.watch == nil {
		return
	}
	r.watch.cancel()
	r.watch.over.Wait()
	r.watch = nil
}

// cleanupFor is how long a folder may stay unmeasurable after a calculation was
// stopped because of its folder.
const cleanupFor = 10 * time.Minute

// boundIdle sends a breach once the folder is too large. With cleanup, a
// calculation was stopped because of the folder, and the user knows: the next
// one may clean up, and until then the folder may grow by a tenth of the limit.
func (r *runner) boundIdle(ctx context.Context, cleanup bool, broken chan<- breach) {
	limit := r.m.cfg.MaxDisk
	stop := func(why string) { broken <- breach{limitDisk, "Session was terminated because " + why} }
	allowed, watched := limit, time.Now()
	if cleanup {
		if used, _, err := r.measure(ctx, math.MaxInt64); err == nil {
			allowed, cleanup = max(limit, used+limit/10), false
		}
	}
	for took := time.Duration(0); pause(ctx, max(diskIdleEvery, 10*took)); {
		begun := time.Now()
		_, over, err := r.measure(ctx, allowed)
		switch {
		case err != nil && cleanup && time.Since(watched) < cleanupFor:
		case err != nil:
			stop(err.Error())
			return
		case over && ctx.Err() == nil:
			stop(fmt.Sprintf("its folder grew to more than %d bytes while no calculation ran", allowed))
			return
		}
		took = time.Since(begun)
	}
}
