package session

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/ergane-dev/ergane"
)

// deliverySoon is how long a delivery may take before RUNNING is worth a write
// of its own.
const deliverySoon = 200 * time.Millisecond

// ending is how a calculation ended, and what there is to deliver of it.
type ending struct {
	state   ergane.CalculationState
	reason  string
	started time.Time // zero: it never ran
	ended   time.Time
	stdout  ergane.Range
	stderr  ergane.Range
	outputs int64
	// unread says why none of this could be read from the spool, where that may pass.
	unread error
}

// empty reports whether there is nothing to deliver but empty objects.
func (e ending) empty() bool {
	return e.unread == nil && e.stdout.Len() == 0 && e.stderr.Len() == 0 && e.outputs == 0
}

func endingOf(o ergane.Outcome) ending {
	e := ending{state: o.State, started: o.StartedAt, ended: o.EndedAt, stdout: o.Stdout, stderr: o.Stderr, outputs: o.Outputs}
	switch {
	case o.Unrecorded != "":
		e.state, e.reason = ergane.CalculationFailed, "the kernel could not record the outcome: "+o.Unrecorded
	case e.state == ergane.CalculationFailed:
		e.reason = o.Reason()
	}
	return e
}

// settle stores the objects of a calculation that has ended, then makes its
// end and its session's move one commit.
func (r *runner) settle(ctx context.Context, c ergane.Calculation, e ending, move func(time.Time) ergane.SessionMove) {
	var spool Spool
	meter, begun := r.m.cfg.Meter, time.Now()
	shown := r.showDelivery(ctx, c, e)
	err := e.unread
	if !e.empty() && err == nil {
		err = r.patiently(ctx, "open the spool", func() (err error) {
			spool, err = r.m.host.Spool(r.id)
			return err
		})
	}
	if spool != nil {
		defer spool.Close()
	}
	if err == nil {
		err = r.deliver(ctx, spool, c, e)
	}
	shown()
	if err == nil {
		meter.Took(StepDeliver, time.Since(begun))
	}
	if ctx.Err() != nil {
		return // the server stops; the next one delivers
	}
	record := ergane.Ending{At: time.Now(), Reason: e.reason, Result: ergane.ResultAt(c.WorkingDirectory), DpuMillis: r.dpuMillis(ctx, e)}
	if err != nil {
		r.log.Error("calculation not delivered", "calculation", c.ID, "error", err)
		e.state = ergane.CalculationFailed
		record.Result = nil
		record.Reason = "the output could not be stored: " + err.Error()
		if !errors.Is(err, ErrSpool) {
			record.Owed = &ergane.Owed{Stdout: e.stdout, Stderr: e.stderr, Outputs: e.outputs, Unread: e.unread != nil}
		}
		if e.reason != "" {
			record.Reason += "; the calculation had ended with: " + e.reason
		}
	}
	if stream := r.tooLong(e); stream != "" && e.state == ergane.CalculationCompleted {
		broken := overLimit(stream, r.m.cfg.MaxOutput)
		e.state, record.Reason = ergane.CalculationFailed, broken.sentence
		meter.Count(CountLimits, broken.limit)
	}
	var mv ergane.CalculationMove
	switch e.state {
	case ergane.CalculationCompleted:
		mv = ergane.CalculationCompletes(c.ID, record)
	case ergane.CalculationCanceled:
		mv = ergane.CalculationCancels(c.ID, record)
	default:
		mv = ergane.CalculationFails(c.ID, record)
	}
	mv.StartedAt = e.started
	mv.Reason = clip(mv.Reason)
	settled := false
	r.persist(ctx, "settle calculation "+c.ID, func() error {
		s := move(mv.At)
		s.Reason = clip(s.Reason)
		begun := time.Now()
		got, now, moved, err := r.m.store.Settle(ctx, mv, s)
		if err != nil {
			return err
		}
		settled = true
		if moved {
			meter.Took(StepSettle, time.Since(begun))
			meter.Took(StepWhole, max(0, time.Since(c.Status.SubmittedAt)))
			meter.Count(CountCalculations, string(got.Status.State))
			if record.Owed != nil {
				meter.Count(CountDebts, debtOwed)
			}
		}
		r.m.hub.moved(c.ID, r.id)
		r.log.Info("calculation settled", "calculation", c.ID, "state", got.Status.State, "session_state", now.Status.State, "moved", moved)
		return nil
	})
	if !settled { // until the end is recorded, the next server may have to deliver again
		return
	}
	if err == nil && spool != nil {
		r.release(ctx, spool, e)
	}
	if !e.started.IsZero() {
		r.removeDelivered()
	}
	if record.Owed == nil {
		r.delivered = append(r.delivered, c.ID)
	}
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

// tooLong names a stream that is longer than what is delivered of it. Code
// that prints is stopped at the limit, but a file grows without printing, too,
// faster than anybody watches.
func (r *runner) tooLong(e ending) string {
	for stream, rg := range map[string]ergane.Range{"stdout": e.stdout, "stderr": e.stderr} {
		if rg.Len() > r.m.cfg.MaxOutput {
			return stream
		}
	}
	return ""
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
