package session

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/ergane-dev/ergane"
	"github.com/ergane-dev/ergane/internal/delivery"
)

const (
	sizeEvery      = 250 * time.Millisecond
	progressEvery  = 2 // of sizeEvery
	executorsEvery = 12
	// lookEvery is the pause between questions about the executors.
	lookEvery = executorsEvery * sizeEvery
	// askFor is the timeout of one question to a kernel.
	askFor = time.Second
)

// observe watches a running calculation: the size of its output, Spark's
// progress and the executors. A broken limit is sent to limits, once.
func (r *runner) observe(ctx context.Context, k Kernel, c ergane.Calculation, limits chan<- breach) {
	id, percent := c.ID, percentOf(c.Statistics.Progress)
	var began clock
	tick := time.NewTicker(sizeEvery)
	defer tick.Stop()
	var spool delivery.Spool
	defer func() {
		if spool != nil {
			spool.Close()
		}
	}()
	for n := 1; ; n++ {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if spool == nil {
			var err error
			if spool, err = r.m.host.Spool(r.id); err != nil {
				continue
			}
		}
		if broken := r.overLimit(spool, id); broken != (breach{}) {
			select {
			case limits <- broken:
			default:
			}
		}
		if n%progressEvery == 0 {
			percent = r.progress(ctx, k, spool, id, percent, &began)
		}
		if n%executorsEvery == 0 {
			r.refreshExecutors(ctx, k)
		}
	}
}

// overLimit returns the stream of the calculation that has become too large; empty if none has.
func (r *runner) overLimit(spool delivery.Spool, id string) breach {
	_, stdout, stderr, ok, err := spool.Started(id)
	if !ok || err != nil {
		return breach{}
	}
	for stream, from := range map[ergane.Stream]int64{ergane.Stdout: stdout, ergane.Stderr: stderr} {
		if rg, err := delivery.Since(spool, stream, from); err == nil && rg.Len() > r.m.cfg.MaxOutput {
			return breach{limitOutput, delivery.TooLong(stream, r.m.cfg.MaxOutput)}
		}
	}
	return breach{}
}

// progress records how much of Spark's work is done, and returns it in percent.
// A job that starts later adds work; the progress recorded before, percent, does
// not decrease.
func (r *runner) progress(ctx context.Context, k Kernel, spool delivery.Spool, id string, percent int, began *clock) int {
	at, _, _, ok, err := spool.Started(id)
	if !ok || err != nil {
		return percent
	}
	ask, cancel := context.WithTimeout(ctx, askFor)
	defer cancel()
	done, total, err := k.Progress(ask, id)
	if err != nil {
		return percent // a busy or dying kernel does not answer; the next tick asks again
	}
	if total > 0 {
		percent = max(percent, min(99, 100*done/total))
	}
	stats := ergane.CalculationStatistics{
		Progress:  fmt.Sprintf("%d%%", percent),
		DpuMillis: r.dpuMillis(ctx, ergane.Outcome{StartedAt: at, EndedAt: at.Add(began.since(at, time.Now()))}),
	}
	if ctx.Err() == nil {
		r.m.figures.set(id, stats)
	}
	return percent
}

// percentOf parses a recorded progress; 0 if there is none.
func percentOf(progress string) int {
	n, err := strconv.Atoi(strings.TrimSuffix(progress, "%"))
	if err != nil {
		return 0
	}
	return n
}
