package session

import (
	"context"
	"fmt"
	"time"

	"github.com/ergane-dev/ergane"
)

const (
	// diskEvery is how often a session's folder is measured while code runs.
	diskEvery = 5 * time.Second
	// measureFor bounds one measurement: code may have made millions of files.
	measureFor = 2 * time.Second
)

// bound watches what an operator allows a calculation: its time and its disk.
// A broken bound goes to limits.
func (r *runner) bound(ctx context.Context, c ergane.Calculation, limits chan<- string) {
	var late, measure <-chan time.Time
	if allowed := r.m.cfg.MaxRunTime; allowed > 0 {
		// The time before a restart of the server counts, by the server's own clock.
		t := time.NewTimer(allowed - max(0, time.Since(c.Status.SubmittedAt)))
		defer t.Stop()
		late = t.C
	}
	if r.m.cfg.MaxDisk > 0 {
		t := time.NewTicker(diskEvery)
		defer t.Stop()
		measure = t.C
	}
	for {
		broken := ""
		select {
		case <-ctx.Done():
			return
		case <-late:
			broken = fmt.Sprintf("the calculation was stopped because it ran for more than %s", r.m.cfg.MaxRunTime)
		case <-measure:
			broken = r.overDisk(ctx)
		}
		if broken != "" {
			select {
			case limits <- broken:
			case <-ctx.Done():
			}
			return
		}
	}
}

// overDisk says that the session's folder has become too large.
func (r *runner) overDisk(ctx context.Context) string {
	ctx, cancel := context.WithTimeout(ctx, measureFor)
	defer cancel()
	limit := r.m.cfg.MaxDisk
	if used, err := r.m.host.DiskUse(ctx, r.id, limit); err != nil || used <= limit {
		return ""
	}
	return fmt.Sprintf("the calculation was stopped because the session's folder holds more than %d bytes", limit)
}
