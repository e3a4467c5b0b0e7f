package session

import (
	"context"
	"sync"
	"time"

	"github.com/ergane-dev/ergane"
	"github.com/ergane-dev/ergane/internal/delivery"
)

// deliverySoon is how long a delivery may take before a short calculation is
// marked RUNNING in a write of its own.
const deliverySoon = 200 * time.Millisecond

// settle delivers a calculation that has ended, decides on its final state,
// records that and its session's move in one commit, and removes its files.
func (r *runner) settle(ctx context.Context, c ergane.Calculation, o ergane.Outcome, move func(time.Time) ergane.SessionMove) {
	spool, undelivered := r.deliver(ctx, c, o)
	if spool != nil {
		defer spool.Close()
	}
	if ctx.Err() != nil {
		return // the server stops; the next one delivers
	}
	if undelivered != nil {
		r.log.Error("calculation not delivered", "calculation", c.ID, "error", undelivered)
	}
	mv, tooLong := delivery.Decide(c, o, undelivered, r.m.cfg.MaxOutput, time.Now())
	mv.DpuMillis = r.dpuMillis(ctx, o)
	if tooLong != "" {
		r.m.cfg.Meter.Count(CountLimits, limitOutput)
	}
	if !r.commitEnd(ctx, c, mv, move) { // until the end is recorded, the next server may have to deliver again
		return
	}
	if undelivered == nil && spool != nil {
		r.m.delivery.Release(ctx, c, spool, o)
	}
	if !o.StartedAt.IsZero() {
		r.removeDelivered()
	}
	if mv.Undelivered == nil {
		r.delivered = append(r.delivered, c.ID)
	}
}

// deliver stores the objects of a calculation that has ended. The caller closes
// the spool, which is nil if none was needed.
func (r *runner) deliver(ctx context.Context, c ergane.Calculation, o ergane.Outcome) (delivery.Spool, error) {
	begun := time.Now()
	defer r.showDelivery(ctx, c, o)()
	var s ergane.Session
	if !r.persist(ctx, "read the session's settings", func() (err error) {
		s, err = r.m.store.Session(ctx, r.id)
		return err
	}) {
		return nil, ergane.ErrSessionNotFound(r.id)
	}
	spool, err := r.m.delivery.Deliver(ctx, s, c, o)
	if err == nil {
		r.m.cfg.Meter.Took(StepDeliver, time.Since(begun))
	}
	return spool, err
}

// commitEnd records a calculation's end and its session's move in one commit;
// false if the server stops or the session was deleted.
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
			if mv.Undelivered != nil {
				meter.Count(CountRedeliveries, delivery.RedeliveryPending)
			}
		}
		r.m.hub.moved(c.ID, r.id)
		r.log.Info("calculation settled", "calculation", c.ID, "state", got.Status.State, "session_state", now.Status.State, "moved", moved)
		return nil
	})
}

// removeDelivered removes the files of the calculations before the present one.
// It is called once the kernel has begun the present one: only then does it not
// need the earlier files any more, because it syncs their folder after the
// outcome in it can be read.
func (r *runner) removeDelivered() {
	spool, err := r.m.host.Spool(r.id)
	if err != nil {
		return // the session's end removes all files
	}
	defer spool.Close()
	for _, id := range r.delivered {
		if err := spool.Remove(id); err != nil {
			r.log.Debug("cannot remove the files of a calculation", "calculation", id, "error", err)
		}
	}
	r.delivered = nil
}

// showDelivery marks a calculation RUNNING if its delivery takes long: one with
// short code was not marked before. The function that it returns stops the wait
// for that.
func (r *runner) showDelivery(ctx context.Context, c ergane.Calculation, o ergane.Outcome) (over func()) {
	if c.Status.State != ergane.CalculationCreating || o.StartedAt.IsZero() {
		return func() {}
	}
	ctx, cancel := context.WithCancel(ctx)
	var showing sync.WaitGroup
	showing.Go(func() {
		for wait := deliverySoon; pause(ctx, wait); wait = lookAgain {
			if _, _, err := r.m.moveCalculation(ctx, ergane.CalculationStarts(c.ID, o.StartedAt)); err == nil {
				return
			}
		}
	})
	return func() {
		cancel()
		showing.Wait()
	}
}

// dpuMillis is the sum of the milliseconds that the coordinator and each worker
// were there for the calculation; at least 1 for one that ran.
func (r *runner) dpuMillis(ctx context.Context, o ergane.Outcome) int64 {
	switch {
	case !o.StartedAt.IsZero():
		return max(1, (o.EndedAt.Sub(o.StartedAt) + r.workerTime(ctx, o.StartedAt, o.EndedAt)).Milliseconds())
	case o.State == ergane.CalculationCompleted:
		return 1 // it ran, but its kernel reports no credible times
	}
	return 0
}
