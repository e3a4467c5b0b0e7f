package session

import (
	"context"
	"errors"
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

// overDisk measures the session's folder; the breach is empty while it is within the limit.
func (r *runner) overDisk(ctx context.Context) breach {
	switch _, over, err := r.measure(ctx, r.m.cfg.MaxDisk); {
	case err != nil:
		return breach{limitDisk, "the calculation was stopped because " + err.Error()}
	case over:
		return breach{limitDisk, fmt.Sprintf("the calculation was stopped because the session's folder holds more than %d bytes", r.m.cfg.MaxDisk)}
	}
	return breach{}
}

// measure returns how many bytes the session's folder takes up, and whether
// that is over limit. The error, a clause of a sentence, says that the folder
// cannot be measured; other failures are ignored, as they are no reason to stop
// a calculation.
func (r *runner) measure(ctx context.Context, limit int64) (used int64, over bool, err error) {
	bounded, cancel := context.WithTimeout(ctx, measureFor)
	defer cancel()
	used, err = r.m.host.DiskUse(bounded, r.id, limit)
	switch {
	case err != nil && bounded.Err() != nil && ctx.Err() == nil:
		return 0, false, fmt.Errorf("the session's folder has so many files that they cannot be measured within %s", measureFor)
	case errors.Is(err, ErrUnmeasurable):
		return 0, false, errors.New("the session's folder cannot be measured: there are folders in it that are nested too deep, or that are being moved")
	case err != nil:
		return 0, false, nil
	}
	return used, used > limit, nil
}
