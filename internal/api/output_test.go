package api

import (
	"bytes"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/ergane-dev/ergane/internal/awsjson"
)

func TestLiveOutputHasTheRateLogAndMetricsOfCalls(t *testing.T) {
	t.Parallel()
	withHarness(t, func(h *harness) {
		var log bytes.Buffer
		var seen []awsjson.Answer
		s := New(h.service.manager, Config{
			Verifier: h.service.verifier, Rate: 2,
			Observe: func(a awsjson.Answer) { seen = append(seen, a) },
			Log:     slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug})), // a request is one line there
		})
		mux := http.NewServeMux()
		s.Register(mux)
		get := func() string {
			r := httptest.NewRequest(http.MethodGet, "http://127.0.0.1:7480/calculations/none/output?stream=stdout", nil)
			sign(r, "", testSecret, time.Now())
			w := httptest.NewRecorder()
			mux.ServeHTTP(w, r)
			return w.Body.String()
		}
		for i, want := range []string{"InvalidRequestException", "InvalidRequestException", "ThrottlingException"} {
			if got := get(); !strings.Contains(got, want) {
				t.Errorf("answer %d is %s and not %s", i, got, want)
			}
			if len(seen) != i+1 || seen[i].Operation != "CalculationOutput" || seen[i].ErrorType != want {
				t.Errorf("%d were observed: %+v", len(seen), seen)
			}
		}
		if n := strings.Count(log.String(), " operation=CalculationOutput access_key_id="+testKey+" "); n != 3 {
			t.Errorf("%d lines: %s", n, log.String())
		}
		if n := strings.Count(log.String(), " calculation=none "); n != 3 {
			t.Errorf("%d lines name the calculation: %s", n, log.String())
		}

		time.Sleep(time.Second) // the bubble's, for the rate
		for range maxKeyStreams {
			if !s.streams.enter(testKey) {
				t.Fatal("a stream below the limit is refused")
			}
		}
		if got := get(); !strings.Contains(got, "ThrottlingException") {
			t.Errorf("beside %d others the answer is %s", maxKeyStreams, got)
		}
		s.streams.leave(testKey)
		if got := get(); !strings.Contains(got, "InvalidRequestException") {
			t.Errorf("beside fewer the answer is %s", got)
		}
	})
}
