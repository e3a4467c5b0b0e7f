package session

import (
	"context"
	"sync"
	"time"

	"github.com/ergane-dev/ergane"
)

// deliverySoon is how long a delivery may take before RUNNING is worth a write
// of its own.
const deliverySoon = 200 * time.Millisecond

// settle stores the objects of a calculation that has ended, then makes its
// end and its session's move one commit.
func (r *runner) settle(ctx context.Context, c ergane.Calculation, e ending, move func(time.Time) ergane.SessionMove) {
	spool, undelivered := r.deliverEnd(ctx, c, e)
	if spool != nil {
		defer spool.Close()
	}
	if ctx.Err() != nil {
		return // the server stops; the next one delivers
	}
	if undelivered != nil {
		r.log.Error("calculation not delivered", "calculation", c.ID, "error", undelivered)
	}
	mv, broken := decide(c, e, undelivered, r.m.cfg.MaxOutput, time.Now())
	mv.DpuMillis = r.dpuMillis(ctx, e)
	if broken != (breach{}) {
		r.m.cfg.Meter.Count(CountLimits, broken.limit)
	}
	if !r.commitEnd(ctx, c, mv, move) { // until the end is recorded, the next server may have to deliver again
		return
	}
	if undelivered == nil && spool != nil {
		r.release(ctx, spool, e)
	}
	if !e.started.IsZero() {
		r.removeDelivered()
	}
	if mv.Owed == nil {
		r.delivered = append(r.delivered, c.ID)
	}
}

// deliverEnd stores the objects of a calculation that has ended. The spool, if
// it was needed, is the caller's to close.
func (r *runner) deliverEnd(ctx context.Context, c ergane.Calculation, e ending) (spool Spool, err error) {
	if e.unread != nil {
		return nil, e.unread
	}
	begun := time.Now()
	defer r.showDelivery(ctx, c, e)()
	if !e.empty() {
		err = r.patiently(ctx, "open the spool", func() (err error) {
			spool, err = r.m.host.Spool(r.id)
			return err
		})
	}
	if err == nil {
		err = r.deliver(ctx, spool, c, e)
	}
	if err == nil {
		r.m.cfg.Meter.Took(StepDeliver, time.Since(begun))
	}
	return spool, err
}

// commitEnd makes a calculation's end and its session's move one commit; false
// where that cannot be done any more.
func (r *runner) commitEnd(ctx context.Context, c ergane.Calculation, mv ergane.CalculationMove, move func(time.Time) ergane.SessionMove) bool {
	meter := r.m.cfg.Meter
	return r.persist(ctx, "settle calculation "+c.ID, func() error {
		s := move(mv.At)
		s.Reason = clip(s.Reason)
		begun := time.Now()
		got, now, moved, err := r.m.store.Settle(ctx, mv, s)
		if err != nil {
			return err
		}
		if moved {
			meter.Took(StepSettle, time.Since(begun))
			meter.Took(StepWhole, max(0, time.Since(c.Status.SubmittedAt)))
			meter.Count(CountCalculations, string(got.Status.State))
			if mv.Owed != nil {
				meter.Count(CountDebts, debtOwed)
			}
		}
		r.m.hub.moved(c.ID, r.id)
		r.log.Info("calculation settled", "calculation", c.ID, "state", got.Status.State, "session_state", now.Status.State, "moved", moved)
		return nil
	})
}

// removeDelivered removes the files of the calculations before the present
// one. The kernel must have begun that: only then is it through with those
// files, because it syncs their folder after the outcome in it can be read.
func (r *runner) removeDelivered() {
	spool, err := r.m.host.Spool(r.id)
	if err != nil {
		return // the session's end removes all
	}
	defer spool.Close()
	for _, id := range r.delivered {
		if err := spool.Remove(id); err != nil {
			r.log.Debug("cannot remove the files of a calculation", "calculation", id, "error", err)
		}
	}
	r.delivered = nil
}

// showDelivery shows a calculation RUNNING whose delivery takes long, as that
// of short code never was. The function that it returns ends that.
func (r *runner) showDelivery(ctx context.Context, c ergane.Calculation, e ending) (over func()) {
	if c.Status.State != ergane.CalculationCreating || e.started.IsZero() {
		return func() {}
	}
	ctx, cancel := context.WithCancel(ctx)
	var showing sync.WaitGroup
	showing.Go(func() {
		for wait := deliverySoon; pause(ctx, wait); wait = lookAgain {
			if _, _, err := r.m.moveCalculation(ctx, ergane.CalculationStarts(c.ID, e.started)); err == nil {
				return
			}
		}
	})
	return func() {
		cancel()
		showing.Wait()
	}
}

// release gives the disk space of delivered output back together with what is
// before it, which was delivered, too, or belongs to nobody: file systems free
// whole blocks, and small outputs share them. What is owed stays.
func (r *runner) release(ctx context.Context, s Spool, e ending) {
	if owes, err := r.m.store.Owes(ctx, r.id); err == nil && !owes {
		for _, rg := range []*ergane.Range{&e.stdout, &e.stderr} {
			if rg.Len() > 0 {
				rg.Start = 0
			}
		}
	}
	release(s, e)
}

// release gives the disk space of output back.
func release(s Spool, e ending) {
	for stream, r := range map[string]ergane.Range{"stdout": e.stdout, "stderr": e.stderr} {
		if r.Len() > 0 {
			_ = s.Release(stream, r) // space comes back with the session at the latest
		}
	}
}

// dpuMillis is what the calculation used: the time that the coordinator and
// each worker were there for it, at least 1 for anything that ran.
func (r *runner) dpuMillis(ctx context.Context, e ending) int64 {
	switch {
	case !e.started.IsZero():
		return max(1, (e.ended.Sub(e.started) + r.workerTime(ctx, e.started, e.ended)).Milliseconds())
	case e.state == ergane.CalculationCompleted:
		return 1 // it ran, but its kernel names no time that can be believed
	}
	return 0
}
