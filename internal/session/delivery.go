package session

import (
	"context"

	"github.com/ergane-dev/ergane"
	"github.com/ergane-dev/ergane/internal/delivery"
)

// newDelivery makes a manager's Deliverer.
func newDelivery(m *Manager) *delivery.Deliverer {
	cfg := delivery.Config{
		RetryFor: m.cfg.DeliverFor, MaxOutput: m.cfg.MaxOutput, LogsFor: m.cfg.LogsFor,
		KeepFor: m.cfg.RedeliverFor, MaxPending: m.cfg.MaxPending, MaxPendingBytes: m.cfg.MaxPendingBytes,
	}
	return delivery.New(cfg, m.store, m.host, m.objects, ownSessions{m}, deliveryMeter{m.cfg.Meter}, m.log)
}

// ownSessions implements delivery.Sessions for a manager.
type ownSessions struct{ m *Manager }

// Live implements delivery.Sessions.
func (o ownSessions) Live(id string) bool { return o.m.runner(id) != nil }

// DeliveryOver implements delivery.Sessions: it wakes the watchers of the
// calculation, and removes the session's files if nothing else needs them.
func (o ownSessions) DeliveryOver(ctx context.Context, p ergane.PendingDelivery) {
	o.m.hub.moved(p.ID)
	if s, err := o.m.store.Session(ctx, p.SessionID); err == nil && s.Status.State.Ended() && !o.Live(p.SessionID) {
		o.m.removeFiles(p.SessionID)
	}
}

// deliveryMeter implements delivery.Meter with a Meter.
type deliveryMeter struct{ meter Meter }

// CountPut implements delivery.Meter.
func (m deliveryMeter) CountPut(kind string) { m.meter.Count(CountPuts, kind) }

// CountRedelivery implements delivery.Meter.
func (m deliveryMeter) CountRedelivery(kind string) { m.meter.Count(CountRedeliveries, kind) }
