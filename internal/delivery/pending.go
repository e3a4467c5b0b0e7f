package delivery

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
	"unicode/utf8"

	"github.com/ergane-dev/ergane"
)

// pending are the calculations to redeliver, the oldest first, within the
// configured bounds.
func (d *Deliverer) pending(ctx context.Context) ([]item, error) {
	all, err := d.store.PendingDeliveries(ctx)
	if err != nil {
		return nil, err
	}
	slices.SortStableFunc(all, func(a, b ergane.PendingDelivery) int {
		return cmp.Or(a.Status.CompletedAt.Compare(b.Status.CompletedAt), cmp.Compare(a.ID, b.ID))
	})
	var items []item
	for _, p := range d.withinBounds(ctx, all) {
		one := item{id: p.ID, uri: p.WorkingDirectory, deliver: func(ctx context.Context) error { return d.redeliver(ctx, p) }}
		if time.Since(p.Status.CompletedAt) > d.cfg.KeepFor {
			one.discard = func(ctx context.Context) error {
				return d.discard(ctx, p, RedeliveryExpired, fmt.Sprintf("the result store did not take it for %s", d.cfg.KeepFor))
			}
		}
		items = append(items, one)
	}
	return items, nil
}

// withinBounds discards the oldest pending deliveries until the rest, which it
// returns, is within the configured bounds.
func (d *Deliverer) withinBounds(ctx context.Context, pending []ergane.PendingDelivery) []ergane.PendingDelivery {
	var sum int64
	for _, p := range pending {
		sum += p.Undelivered.Bytes()
	}
	for len(pending) > 0 {
		var why string
		switch {
		case len(pending) > d.cfg.MaxPending:
			why = fmt.Sprintf("the output of more than %d calculations waited for the result store", d.cfg.MaxPending)
		case d.cfg.MaxPendingBytes > 0 && sum > d.cfg.MaxPendingBytes:
			why = fmt.Sprintf("more than %d bytes of output waited for the result store", d.cfg.MaxPendingBytes)
		default:
			return pending
		}
		p := pending[0]
		if err := d.discard(ctx, p, RedeliveryOverLimit, why); err != nil {
			return pending // the next round tries again
		}
		pending, sum = pending[1:], sum-p.Undelivered.Bytes()
	}
	return pending
}

// redeliver tries once to deliver a calculation that ended before, or discards it
// if its output is lost. After an error it is still pending.
func (d *Deliverer) redeliver(ctx context.Context, p ergane.PendingDelivery) error {
	log := d.about(p.Calculation)
	var spool Spool
	s, err := d.store.Session(ctx, p.SessionID)
	o := ergane.Outcome{Stdout: p.Undelivered.Stdout, Stderr: p.Undelivered.Stderr, Outputs: p.Undelivered.Outputs}
	if err == nil && p.Undelivered.Unread { // it is read now
		o, err = d.left(p.Calculation)
	}
	if err == nil {
		spool, err = d.deliver(ctx, s, p.Calculation, o, once)
	}
	if spool != nil {
		defer spool.Close()
	}
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case errors.Is(err, ErrSpool):
		return d.discard(ctx, p, RedeliveryLost, "it is lost: "+err.Error())
	case err != nil:
		log.Warn("cannot redeliver a calculation; trying again", "error", err)
		return err
	}
	err = d.store.RecordDelivery(ctx, p.ID, *ergane.ResultAt(p.WorkingDirectory))
	if err != nil && ergane.CodeOf(err) != ergane.CodeNotFound { // otherwise it was deleted with its workgroup
		log.Warn("cannot record that a calculation was redelivered; trying again", "error", err)
		return err
	}
	if err == nil {
		log.Info("redelivered a calculation")
		d.meter.CountRedelivery(RedeliveryDelivered)
	}
	if spool != nil {
		release(spool, o) // only now: until the delivery is recorded, it may be repeated
		_ = spool.Remove(p.ID)
	}
	d.sessions.DeliveryOver(ctx, p)
	return nil
}

// discard ends a pending delivery without delivering it, and says so in the
// calculation's reason.
func (d *Deliverer) discard(ctx context.Context, p ergane.PendingDelivery, kind, why string) error {
	log := d.about(p.Calculation)
	why = "; the server has discarded it, because " + why
	reason := ergane.Shorten(p.Status.Reason, ergane.MaxReason-utf8.RuneCountInString(why)) + why
	err := d.store.DiscardDelivery(ctx, p.ID, ergane.Shorten(reason, ergane.MaxReason))
	if err != nil && ergane.CodeOf(err) != ergane.CodeNotFound {
		log.Warn("cannot discard a pending delivery; trying again", "error", err)
		return err
	}
	log.Error("discarded the output of a calculation", "bytes", p.Undelivered.Bytes(), "reason", reason)
	d.meter.CountRedelivery(kind)
	if spool, err := d.files.Spool(p.SessionID); err == nil {
		release(spool, ergane.Outcome{Stdout: p.Undelivered.Stdout, Stderr: p.Undelivered.Stderr})
		_ = spool.Remove(p.ID)
		spool.Close()
	}
	d.sessions.DeliveryOver(ctx, p)
	return nil
}
