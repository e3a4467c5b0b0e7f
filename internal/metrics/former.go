package metrics

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/ergane-dev/ergane/internal/delivery"
	"github.com/ergane-dev/ergane/internal/session"
)

// Renamed metrics keep their former name, too, for one release, because
// dashboards and alerts use it.

func newDebts() *prometheus.CounterVec {
	v := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "ergane_debts_total",
		Help: "Deprecated: the former name of ergane_redeliveries_total; it is removed in the next release.",
	}, []string{"outcome"})
	for _, kind := range session.Kinds[session.CountRedeliveries] {
		v.WithLabelValues(formerOutcome(kind))
	}
	return v
}

// formerOutcome is the label that an outcome of a redelivery had.
func formerOutcome(kind string) string {
	switch kind {
	case delivery.RedeliveryPending:
		return "owed"
	case delivery.RedeliveryDelivered:
		return "paid"
	}
	return kind
}

var debtsDesc = prometheus.NewDesc("ergane_debts", "Deprecated: the former name of ergane_pending_deliveries; it is removed in the next release.", nil, nil)
