// Package metrics exposes a server's metrics in Prometheus' text format. The values
// of every label are a fixed set: no ids, no names that a user chose.
package metrics

import (
	"log/slog"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/ergane-dev/ergane/internal/awsjson"
	"github.com/ergane-dev/ergane/internal/session"
)

// Metrics are the metrics of one server. It implements session.Meter.
type Metrics struct {
	registry *prometheus.Registry
	steps    *prometheus.HistogramVec
	start    prometheus.Histogram
	counters map[session.Counter]*prometheus.CounterVec
	debts    *prometheus.CounterVec // the former name of a counter, see former.go
	requests *prometheus.HistogramVec
}

var _ session.Meter = (*Metrics)(nil)

// Upper bounds in seconds.
var (
	stepBuckets    = []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 300, 1800, 3600}
	startBuckets   = []float64{.01, .025, .05, .1, .25, .5, 1, 2, 3, 4, 5, 7.5, 10, 15, 20, 30, 60, 120, 300}
	requestBuckets = []float64{.00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 10}
)

// counters are the names and labels of the session package's counters.
var counters = map[session.Counter]struct{ name, label, help string }{
	session.CountSessions:     {"ergane_sessions_ended_total", "state", "Sessions that have ended, by their last state."},
	session.CountCalculations: {"ergane_calculations_ended_total", "state", "Calculations that have ended, by their last state."},
	session.CountKernels:      {"ergane_kernels_total", "how", "Kernels by how the server got them: started for a session, adopted from an earlier server, started ahead of a session, or claimed by one after that."},
	session.CountDeaths:       {"ergane_kernel_deaths_total", "cause", "Kernels that ended without being asked to; driver: the Spark driver alone; not_ready: during the start; killed: by the server, because an interrupt had no effect."},
	session.CountPuts:         {"ergane_result_puts_total", "outcome", "Attempts to store an object of a calculation: stored, failed and retried, failed and given up for now."},
	session.CountLimits:       {limitsName, "limit", "Sessions, calculations and requests that a limit has refused or stopped."},
	session.CountStops:        {"ergane_calculation_stops_total", "how", "Calculations that were interrupted, and kernels that were killed because that had no effect."},
	session.CountRedeliveries: {"ergane_redeliveries_total", "outcome", "Calculations whose output could not be delivered when they ended (pending), and what became of it: delivered later, or discarded because it was too old (expired), too much (over_limit) or damaged (lost)."},
	session.CountExpired:      {"ergane_expired_total", "what", "Sessions that were removed because they ended long ago, and objects of their calculations."},
	session.CountHolds:        {"ergane_holds_total", "outcome", "Requests held while waiting for what they ask about to end, and requests answered at once because too many were held."},
}

const (
	limitsName = "ergane_limits_hit_total"
	limitRate  = "api_rate" // the only limit that is not of the session package
)

// New makes the metrics of a server of the version given.
func New(version string) *Metrics {
	m := &Metrics{
		registry: prometheus.NewRegistry(),
		steps: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "ergane_calculation_step_seconds", Buckets: stepBuckets,
			Help: "Duration of the steps of a calculation, and of all of it from its commit to its end.",
		}, []string{"step"}),
		start: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "ergane_session_start_seconds", Buckets: startBuckets,
			Help: "Time from StartSession until the session is IDLE.",
		}),
		counters: map[session.Counter]*prometheus.CounterVec{},
		requests: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "ergane_api_request_seconds", Buckets: requestBuckets,
			Help: "Duration of API requests, including the time for which they were held.",
		}, []string{"operation", "outcome"}),
	}
	m.registry.MustRegister(m.steps, m.start, m.requests,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	for _, s := range session.Steps {
		m.steps.WithLabelValues(string(s))
	}
	for c, d := range counters {
		v := prometheus.NewCounterVec(prometheus.CounterOpts{Name: d.name, Help: d.help}, []string{d.label})
		for _, kind := range session.Kinds[c] {
			v.WithLabelValues(kind) // a counter starts with 0 instead of being absent
		}
		m.counters[c] = v
		m.registry.MustRegister(v)
	}
	m.counters[session.CountLimits].WithLabelValues(limitRate)
	m.debts = newDebts()
	m.registry.MustRegister(m.debts)
	info := prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "ergane_build_info", Help: "The server's version; always 1."}, []string{"version"})
	info.WithLabelValues(version).Set(1)
	m.registry.MustRegister(info)
	return m
}

// Took implements session.Meter.
func (m *Metrics) Took(s session.Step, d time.Duration) {
	if s == session.SessionStart {
		m.start.Observe(d.Seconds())
		return
	}
	m.steps.WithLabelValues(string(s)).Observe(d.Seconds())
}

// Count implements session.Meter.
func (m *Metrics) Count(c session.Counter, kind string) {
	m.counters[c].WithLabelValues(kind).Inc()
	if c == session.CountRedeliveries {
		m.debts.WithLabelValues(formerOutcome(kind)).Inc()
	}
}

// Answered counts a request to the API.
func (m *Metrics) Answered(a awsjson.Answer) {
	outcome := outcomeOf(a)
	if outcome == throttled {
		m.Count(session.CountLimits, limitRate)
	}
	m.requests.WithLabelValues(a.Operation, outcome).Observe(a.Took.Seconds())
}

const throttled = "throttled"

// outcomeOf is the label outcome of an answer.
func outcomeOf(a awsjson.Answer) string {
	switch {
	case a.ErrorType == "ThrottlingException":
		return throttled
	case a.Status == http.StatusServiceUnavailable:
		return "broken_off" // the client has gone, or the server stops
	case a.Status >= http.StatusInternalServerError:
		return "failed"
	case a.Status >= http.StatusBadRequest:
		return "refused"
	}
	return "ok"
}

// maxScrapes bounds how many scrapes are answered at once, because they need no signature.
const maxScrapes = 4

// Handler serves the metrics. If some of them cannot be read, it serves the others.
func (m *Metrics) Handler(log *slog.Logger) http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{
		ErrorLog:            slog.NewLogLogger(log.Handler(), slog.LevelWarn),
		ErrorHandling:       promhttp.ContinueOnError,
		MaxRequestsInFlight: maxScrapes,
	})
}
