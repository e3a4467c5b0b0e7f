package session

import (
	"context"
	"fmt"
	"time"

	"github.com/ergane-dev/ergane"
)

const (
	sizeEvery      = 250 * time.Millisecond
	progressEvery  = 2 // of sizeEvery
	executorsEvery = 12
	// askFor bounds one question to a kernel.
	askFor = time.Second
)

// observe watches a running calculation: how much it prints, how far Spark
// has come, which executors there are. A broken limit goes to limits, once.
func (r *runner) observe(ctx context.Context, k Kernel, id string, limits chan<- string) {
	tick := time.NewTicker(sizeEvery)
	defer tick.Stop()
	var spool Spool
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
		if broken := r.overLimit(spool, id); broken != "" {
			select {
			case limits <- broken:
			default:
			}
		}
		if n%progressEvery == 0 {
			r.progress(ctx, k, spool, id)
		}
		if n%executorsEvery == 0 {
			r.refreshExecutors(ctx, k)
		}
	}
}

// overLimit says which stream of the calculation has become too large.
func (r *runner) overLimit(spool Spool, id string) string {
	_, stdout, stderr, ok := spool.Started(id)
	if !ok {
		return ""
	}
	for stream, from := range map[string]int64{"stdout": stdout, "stderr": stderr} {
		if rest(spool, stream, from).Len() > r.m.cfg.MaxOutput {
			return overLimit(stream, r.m.cfg.MaxOutput)
		}
	}
	return ""
}

func (r *runner) progress(ctx context.Context, k Kernel, spool Spool, id string) {
	at, _, _, ok := spool.Started(id)
	if !ok {
		return
	}
	ask, cancel := context.WithTimeout(ctx, askFor)
	defer cancel()
	done, total, err := k.Progress(ask, id)
	if err != nil {
		return // a busy or dying kernel does not answer; the next tick asks again
	}
	percent := 0
	if total > 0 {
		percent = min(99, 100*done/total)
	}
	stats := ergane.CalculationStatistics{
		Progress:  fmt.Sprintf("%d%%", percent),
		DpuMillis: r.dpuMillis(ctx, ending{started: at, ended: time.Now()}),
	}
	if err := r.m.store.SetProgress(ctx, id, stats); err != nil && ctx.Err() == nil {
		r.log.Warn("cannot record progress", "calculation", id, "error", err)
	}
}
