package metrics_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"github.com/ergane-dev/ergane"
	"github.com/ergane-dev/ergane/internal/awsjson"
	"github.com/ergane-dev/ergane/internal/metrics"
	"github.com/ergane-dev/ergane/internal/session"
)

// scrape returns every sample except those of Go and the process, by its name and labels.
func scrape(t *testing.T, m *metrics.Metrics) map[string]float64 {
	t.Helper()
	w := httptest.NewRecorder()
	m.Handler(slog.New(slog.DiscardHandler)).ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	if w.Code != http.StatusOK {
		t.Fatalf("status %d: %s", w.Code, w.Body)
	}
	parser := expfmt.NewTextParser(model.LegacyValidation)
	families, err := parser.TextToMetricFamilies(w.Body)
	if err != nil {
		t.Fatal(err)
	}
	samples := map[string]float64{}
	for name, f := range families {
		if f.GetHelp() == "" {
			t.Errorf("%s has no help", name)
		}
		for _, one := range f.Metric {
			var labels []string
			for _, l := range one.Label {
				labels = append(labels, l.GetName()+"="+l.GetValue())
			}
			key := name + "{" + strings.Join(labels, ",") + "}"
			switch {
			case one.Histogram != nil:
				samples[key+" count"] = float64(one.Histogram.GetSampleCount())
				samples[key+" sum"] = one.Histogram.GetSampleSum()
			case one.Counter != nil:
				samples[key] = one.Counter.GetValue()
			default:
				samples[key] = one.GetGauge().GetValue()
			}
		}
	}
	return samples
}

// changed are the samples of after that are not those of before.
func changed(before, after map[string]float64) map[string]float64 {
	diff := map[string]float64{}
	for k, v := range after {
		if old, ok := before[k]; (!ok || v != old) && strings.HasPrefix(k, "ergane_") {
			diff[k] = v
		}
	}
	return diff
}

func watched(m *metrics.Metrics, c ergane.Census, err error) {
	m.Watch(metrics.Sources{
		Census:   func(context.Context) (ergane.Census, error) { return c, err },
		Held:     func() int { return 5 },
		Restarts: func() int64 { return 2 },
		Pooled:   func() (int, int) { return 3, 1 },
		Layers:   func() map[string]bool { return map[string]bool{"user": false, "mounts": true} },
	})
}

func TestEachKindIsACounterOfItsOwnFromTheStart(t *testing.T) {
	t.Parallel()
	m := metrics.New("1.2.3")
	before := scrape(t, m)
	n, want := 0, map[float64]int{}
	for c, kinds := range session.Kinds {
		for _, kind := range kinds {
			n++
			for range n {
				m.Count(c, kind)
			}
			want[float64(n)] = 1
		}
	}
	got := map[float64]int{}
	for sample, v := range changed(before, scrape(t, m)) {
		if _, ok := before[sample]; !ok {
			t.Errorf("%s was not there before", sample)
		}
		if !strings.HasPrefix(sample, "ergane_debts_total{") { // the former name of another one
			got[v]++
		}
	}
	if !maps.Equal(got, want) {
		t.Errorf("counts %v, want one each of %v", got, slices.Sorted(maps.Keys(want)))
	}
}

func TestStepsAndRequestsAreTimed(t *testing.T) {
	t.Parallel()
	m := metrics.New("1.2.3")
	before := scrape(t, m)
	for i, s := range session.Steps {
		if _, ok := before["ergane_calculation_step_seconds{step="+string(s)+"} count"]; !ok {
			t.Errorf("step %s is not there before it is taken", s)
		}
		m.Took(s, time.Duration(i+1)*time.Second)
	}
	m.Took(session.SessionStart, 3*time.Second)
	for _, a := range []awsjson.Answer{
		{Operation: "StartSession", Status: 200, Took: time.Second},
		{Operation: "StartSession", Status: 200, Took: 2 * time.Second},
		{Operation: "StartSession", Status: 400, ErrorType: "InvalidRequestException", Took: time.Second},
		{Operation: "StartSession", Status: 400, ErrorType: "ThrottlingException", Took: time.Second},
		{Operation: "StartSession", Status: 503, ErrorType: "ServiceUnavailableException", Took: time.Second},
		{Operation: "StartSession", Status: 500, ErrorType: "InternalServerException", Took: time.Second},
		{Status: 404, Took: time.Second},
	} {
		m.Answered(a)
	}
	got := changed(before, scrape(t, m))
	want := map[string]float64{
		"ergane_session_start_seconds{} count":      1,
		"ergane_session_start_seconds{} sum":        3,
		"ergane_limits_hit_total{limit=api_rate}":   1,
		request("StartSession", "ok") + " count":    2,
		request("StartSession", "ok") + " sum":      3,
		request("", "refused") + " count":           1,
		request("", "refused") + " sum":             1,
		request("StartSession", "refused") + " sum": 1, request("StartSession", "refused") + " count": 1,
		request("StartSession", "throttled") + " sum": 1, request("StartSession", "throttled") + " count": 1,
		request("StartSession", "broken_off") + " sum": 1, request("StartSession", "broken_off") + " count": 1,
		request("StartSession", "failed") + " sum": 1, request("StartSession", "failed") + " count": 1,
	}
	for i, s := range session.Steps {
		key := "ergane_calculation_step_seconds{step=" + string(s) + "}"
		want[key+" count"], want[key+" sum"] = 1, float64(i+1)
	}
	same(t, got, want)
}

func request(operation, outcome string) string {
	return "ergane_api_request_seconds{operation=" + operation + ",outcome=" + outcome + "}"
}

func same(t *testing.T, got, want map[string]float64) {
	t.Helper()
	for _, k := range slices.Sorted(maps.Keys(want)) {
		if v, ok := got[k]; !ok || v != want[k] {
			t.Errorf("%s is %v (there: %v), want %v", k, v, ok, want[k])
		}
	}
	for k, v := range got {
		if _, ok := want[k]; !ok {
			t.Errorf("%s is %v, want none", k, v)
		}
	}
}

func TestSourcesAreAskedAtEachScrape(t *testing.T) {
	t.Parallel()
	m := metrics.New("1.2.3")
	before := scrape(t, m)
	if before["ergane_build_info{version=1.2.3}"] != 1 {
		t.Error("no version")
	}
	watched(m, ergane.Census{
		Sessions:          map[ergane.SessionState]int{ergane.SessionIdle: 3, ergane.SessionBusy: 2},
		Calculations:      map[ergane.CalculationState]int{ergane.CalculationRunning: 2},
		PendingDeliveries: 4,
	}, nil)
	same(t, changed(before, scrape(t, m)), map[string]float64{
		"ergane_sessions{state=CREATING}":      0,
		"ergane_sessions{state=IDLE}":          3,
		"ergane_sessions{state=BUSY}":          2,
		"ergane_sessions{state=DEGRADED}":      0,
		"ergane_sessions{state=TERMINATING}":   0,
		"ergane_calculations{state=CREATING}":  0,
		"ergane_calculations{state=RUNNING}":   2,
		"ergane_calculations{state=CANCELING}": 0,
		"ergane_pending_deliveries{}":          4,
		"ergane_debts{}":                       4,
		"ergane_held_requests{}":               5,
		"ergane_pool_kernels{state=waiting}":   3,
		"ergane_pool_kernels{state=warming}":   1,
		"ergane_sandbox_layer{layer=mounts}":   1,
		"ergane_sandbox_layer{layer=user}":     0,
		"ergane_s3_restarts_total{}":           2,
	})
}

func TestARenamedCounterCountsUnderItsFormerNameToo(t *testing.T) {
	t.Parallel()
	m := metrics.New("1.2.3")
	before := scrape(t, m)
	for _, kind := range []string{"pending", "pending", "delivered", "lost"} {
		m.Count(session.CountRedeliveries, kind)
	}
	same(t, changed(before, scrape(t, m)), map[string]float64{
		"ergane_redeliveries_total{outcome=pending}":   2,
		"ergane_redeliveries_total{outcome=delivered}": 1,
		"ergane_redeliveries_total{outcome=lost}":      1,
		"ergane_debts_total{outcome=owed}":             2,
		"ergane_debts_total{outcome=paid}":             1,
		"ergane_debts_total{outcome=lost}":             1,
	})
}

// Metrics are most needed when something is wrong.
func TestADatabaseThatCannotBeReadLeavesTheOtherMetrics(t *testing.T) {
	t.Parallel()
	m := metrics.New("1.2.3")
	watched(m, ergane.Census{}, errors.New("disk I/O error"))
	got := scrape(t, m)
	if _, ok := got["ergane_sessions{state=IDLE}"]; ok {
		t.Error("sessions are counted that nobody could count")
	}
	if got["ergane_held_requests{}"] != 5 {
		t.Error("what does not come from the database is missing, too")
	}
	for _, name := range []string{"go_goroutines{}", "process_open_fds{}", "process_resident_memory_bytes{}"} {
		if got[name] < 1 {
			t.Errorf("%s is %v", name, got[name])
		}
	}
}

func TestDescriptorsAreShownBesideTheirLimit(t *testing.T) {
	t.Parallel()
	got := scrape(t, metrics.New("1.2.3"))
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	if used, most := got["process_open_fds{}"], got["process_max_fds{}"]; used < 3 || used > most || most != float64(limit.Cur) {
		t.Errorf("%v of %v, want at least 3 of %d", used, most, limit.Cur)
	}
}

func TestOnlySoManyScrapesAreAnsweredAtOnce(t *testing.T) {
	t.Parallel()
	m := metrics.New("1.2.3")
	inside, leave := make(chan struct{}), make(chan struct{})
	m.Watch(metrics.Sources{
		Census: func(context.Context) (ergane.Census, error) {
			inside <- struct{}{}
			<-leave
			return ergane.Census{}, nil
		},
		Held:   func() int { return 0 },
		Pooled: func() (int, int) { return 0, 0 },
	})
	h := m.Handler(slog.New(slog.DiscardHandler))
	get := func() int {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
		_, _ = io.Copy(io.Discard, w.Body)
		return w.Code
	}
	const most = 4
	done := make(chan int)
	for range most {
		go func() { done <- get() }()
		<-inside
	}
	if code := get(); code != http.StatusServiceUnavailable {
		t.Errorf("one too many is answered with %d", code)
	}
	close(leave)
	for range most {
		if code := <-done; code != http.StatusOK {
			t.Errorf("status %d", code)
		}
	}
}
