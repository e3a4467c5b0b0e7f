package metrics

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/ergane-dev/ergane"
)

// Sources are called at each scrape.
type Sources struct {
	Census   func(context.Context) (ergane.Census, error)
	Held     func() int
	Pooled   func() (waiting, warming int)
	Layers   func() map[string]bool // of the sandbox, by name: whether sessions have them; nil without a sandbox
	Restarts func() int64           // of the embedded S3; nil without it
}

// Watch adds the metrics of the sources. Call it once.
func (m *Metrics) Watch(s Sources) {
	m.registry.MustRegister(census{s.Census}, prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "ergane_held_requests", Help: "Requests that are held now.",
	}, func() float64 { return float64(s.Held()) }))
	for state, count := range map[string]func() int{
		"waiting": func() int { n, _ := s.Pooled(); return n },
		"warming": func() int { _, n := s.Pooled(); return n },
	} {
		m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "ergane_pool_kernels", Help: "Kernels that were started ahead of their sessions: waiting for one, or being started.",
			ConstLabels: prometheus.Labels{"state": state},
		}, func() float64 { return float64(count()) }))
	}
	if s.Layers != nil {
		m.watchLayers(s.Layers)
	}
	if s.Restarts != nil {
		m.registry.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{
			Name: "ergane_s3_restarts_total", Help: "How often the embedded S3 was started again.",
		}, func() float64 { return float64(s.Restarts()) }))
	}
}

func (m *Metrics) watchLayers(active func() map[string]bool) {
	for name := range active() {
		m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "ergane_sandbox_layer", Help: "Whether sessions have this layer of the sandbox: 1, or 0.",
			ConstLabels: prometheus.Labels{"layer": name},
		}, func() float64 {
			if active()[name] {
				return 1
			}
			return 0
		}))
	}
}

// censusTimeout bounds the wait for the database at a scrape.
const censusTimeout = 5 * time.Second

var (
	sessionsDesc     = prometheus.NewDesc("ergane_sessions", "Sessions that have not ended, by state.", []string{"state"}, nil)
	calculationsDesc = prometheus.NewDesc("ergane_calculations", "Calculations that have not ended, by state.", []string{"state"}, nil)
	pendingDesc      = prometheus.NewDesc("ergane_pending_deliveries", "Calculations that have ended and whose output is still to be delivered.", nil, nil)
)

// census is the Collector of the counts from the database.
type census struct {
	ask func(context.Context) (ergane.Census, error)
}

func (c census) Describe(to chan<- *prometheus.Desc) {
	to <- sessionsDesc
	to <- calculationsDesc
	to <- pendingDesc
	to <- debtsDesc
}

func (c census) Collect(to chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), censusTimeout)
	defer cancel()
	now, err := c.ask(ctx)
	if err != nil {
		to <- prometheus.NewInvalidMetric(sessionsDesc, err)
		return
	}
	gauge := func(d *prometheus.Desc, n int, labels ...string) {
		to <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, float64(n), labels...)
	}
	for _, state := range []ergane.SessionState{
		ergane.SessionCreating, ergane.SessionIdle, ergane.SessionBusy, ergane.SessionDegraded, ergane.SessionTerminating,
	} {
		gauge(sessionsDesc, now.Sessions[state], string(state))
	}
	for _, state := range []ergane.CalculationState{ergane.CalculationCreating, ergane.CalculationRunning, ergane.CalculationCanceling} {
		gauge(calculationsDesc, now.Calculations[state], string(state))
	}
	gauge(pendingDesc, now.PendingDeliveries)
	gauge(debtsDesc, now.PendingDeliveries)
}
