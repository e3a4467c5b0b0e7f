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

// An idleWatch measures from the end of a calculation to the start of the next.
type idleWatch struct {
	broken chan breach
	cancel context.CancelFunc
	over   sync.WaitGroup
}

// watchDisk begins to measure, unless that is under way; it returns where a
// broken limit is told, nil where there is none.
func (r *runner) watchDisk(ctx context.Context) <-chan breach {
	if r.m.cfg.MaxDisk <= 0 {
		return nil
	}
	if r.watch == nil {
		work, cancel := context.WithCancel(ctx)
		w := &idleWatch{broken: make(chan breach, 1), cancel: cancel}
		spared := r.spared
		w.over.Go(func() { r.boundIdle(work, spared, w.broken) })
		r.watch = w
	}
	return r.watch.broken
}

// unwatch ends the measuring, and waits for that.
func (r *runner) unwatch() {
	if r.watch == nil {
		return
	}
	r.watch.cancel()
	r.watch.over.Wait()
	r.watch = nil
}

// spareFor is how long a folder may stay unmeasurable for which a calculation was stopped.
const spareFor = 10 * time.Minute

// boundIdle tells once that the folder has become too large. One that is
// spared was so before, which its code has been told: it may be cleaned up,
// and grow by no more than a tenth of the limit until then.
func (r *runner) boundIdle(ctx context.Context, spared bool, broken chan<- breach) {
	limit := r.m.cfg.MaxDisk
	tell := func(why string) { broken <- breach{limitDisk, "Session was terminated because " + why} }
	allowed, watched := limit, time.Now()
	if spared {
		if used, _, err := r.measure(ctx, math.MaxInt64); err == nil {
			allowed, spared = max(limit, used+limit/10), false
		}
	}
	for took := time.Duration(0); pause(ctx, max(diskIdleEvery, 10*took)); {
		begun := time.Now()
		_, over, err := r.measure(ctx, allowed)
		switch {
		case err != nil && spared && time.Since(watched) < spareFor:
		case err != nil:
			tell(err.Error())
			return
		case over && ctx.Err() == nil:
			tell(fmt.Sprintf("its folder came to hold more than %d bytes while no calculation ran", allowed))
			return
		}
		took = time.Since(begun)
	}
}
