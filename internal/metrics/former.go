package metrics

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/ergane-dev/ergane/internal/delivery"
	"github.com/ergane-dev/ergane/internal/session"
)

// Metrics that have another name now are kept under the former one, too, for
// one release: dashboards and alerts use them.

func newDebts() *prometheus.CounterVec {
	v := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "ergane_debts_total",
		Help: "Deprecated: the former name of ergane_redeliveries_total, which goes with the next release.",
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

var debtsDesc = prometheus.NewDesc("ergane_debts", "Deprecated: the former name of ergane_pending_deliveries, which goes with the next release.", nil, nil)
