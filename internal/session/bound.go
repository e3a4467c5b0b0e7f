package session

import (
	"context"
	"fmt"
	"time"

	"github.com/ergane-dev/ergane"
)

const (
	// diskEvery is the pause between measurements of a session's folder while
	// code runs; it is longer where they take long.
	diskEvery = 5 * time.Second
	// measureFor bounds one measurement: code may have made millions of files.
	measureFor = time.Minute
)

// A breach is a limit that a calculation broke: its kind, and the sentence that says so.
type breach struct{ limit, sentence string }

// bound watches what an operator allows a calculation: its time and its disk.
// A broken bound goes to limits.
func (r *runner) bound(ctx context.Context, k Kernel, c ergane.Calculation, limits chan<- breach) {
	var late, measure <-chan time.Time
	if allowed := r.m.cfg.MaxRunTime; allowed > 0 {
		// The time before a restart of the server counts.
		t := time.NewTimer(allowed - k.Age(c.ID, c.Status.SubmittedAt))
		defer t.Stop()
		late = t.C
	}
	if r.m.cfg.MaxDisk > 0 {
		measure = time.After(diskEvery)
	}
	for {
		var broken breach
		select {
		case <-ctx.Done():
			return
		case <-late:
			broken = breach{limitRunTime, fmt.Sprintf("the calculation was stopped because it ran for more than %s", r.m.cfg.MaxRunTime)}
		case <-measure:
			begun := time.Now()
			broken = r.overDisk(ctx)
			measure = time.After(max(diskEvery, 10*time.Since(begun)))
		}
		if broken != (breach{}) {
			select {
			case limits <- broken:
			case <-ctx.Done():
			}
			return
		}
	}
}

// overDisk says that the session's folder has become too large.
func (r *runner) overDisk(ctx context.Context) breach {
	bounded, cancel := context.WithTimeout(ctx, measureFor)
	defer cancel()
	limit := r.m.cfg.MaxDisk
	switch used, err := r.m.host.DiskUse(bounded, r.id, limit); {
	case err != nil && bounded.Err() != nil && ctx.Err() == nil:
		return breach{limitDisk, fmt.Sprintf("the calculation was stopped because the session's folder has so many files that they cannot be measured within %s", measureFor)}
	case err != nil || used <= limit:
		return breach{}
	}
	return breach{limitDisk, fmt.Sprintf("the calculation was stopped because the session's folder holds more than %d bytes", limit)}
}
