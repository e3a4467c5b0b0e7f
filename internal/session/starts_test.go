package session_test

import (
	"strings"
	"testing"
	"time"

	"github.com/ergane-dev/ergane"
	"github.com/ergane-dev/ergane/internal/session"
)

// download starts a session that downloads jars.
func (h *harness) download() string {
	h.Helper()
	s, err := h.m.StartSession(h.ctx, key, session.StartRequest{WorkGroup: ergane.PrimaryWorkGroup,
		Engine: ergane.EngineConfiguration{SparkProperties: map[string]string{"spark.jars.packages": "a:b:1"}}})
	h.must(err)
	return s.ID
}

func TestAKernelThatIsNotReadyInTimeFailsItsSession(t *testing.T) {
	const late = "the session's kernel was not ready within 5m0s (serve --max-start-time); the driver's log shows what it waited for"
	for name, f := range map[string]faults{
		"its process never comes": {StartTakes: time.Hour},
		"Spark never comes":       {ReadyTakes: time.Hour},
		"both take long":          {StartTakes: 3 * time.Minute, ReadyTakes: 3 * time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			withHarness(t, session.Config{}, func(h *harness) {
				h.machine.Set(f)
				sid := h.begin()
				time.Sleep(4 * time.Minute)
				h.sessionIs(sid, ergane.SessionCreating, "")
				h.awaitSession(sid, ergane.SessionFailed)
				h.sessionIs(sid, ergane.SessionFailed, late)
				h.settled()
				h.gone(sid)
				h.machine.Set(faults{})
				h.idle() // its turn was given back
			})
		})
	}
}

func TestAKernelHasTheWholeTimeAgainAfterARestart(t *testing.T) {
	withHarness(t, session.Config{}, func(h *harness) {
		h.machine.Set(faults{ReadyTakes: 8 * time.Minute})
		sid := h.begin()
		time.Sleep(4 * time.Minute)
		h.kill()
		h.serve()
		h.awaitSession(sid, ergane.SessionIdle)
	})
}

func TestInstallationsHaveTheirOwnLimit(t *testing.T) {
	withHarness(t, session.Config{Starts: 1}, func(h *harness) {
		h.machine.Set(faults{PrepareTakes: 50 * time.Minute})
		slow := h.begin()
		h.settled()
		h.machine.Set(faults{})
		h.idle() // nobody waits for it
		time.Sleep(40 * time.Minute)
		h.sessionIs(slow, ergane.SessionCreating, "")
		h.awaitSession(slow, ergane.SessionIdle)
		h.machine.Set(faults{PrepareTakes: 2 * time.Hour})
		never := h.begin()
		time.Sleep(50 * time.Minute)
		h.awaitSession(never, ergane.SessionFailed)
		h.sessionIs(never, ergane.SessionFailed, "the session's kernel did not start: what the session needs was not installed within 1h0m0s")
	})
}

func TestSessionsThatDownloadDoNotDelayTheStartOfOthers(t *testing.T) {
	withHarness(t, session.Config{Starts: 2}, func(h *harness) {
		h.machine.Set(faults{ReadyTakes: time.Hour})
		var deaf []string
		for range 20 {
			deaf = append(deaf, h.download())
		}
		h.settled()
		h.machine.Set(faults{ReadyTakes: time.Second})
		begun := time.Now()
		h.idle()
		if took := time.Since(begun); took > 10*time.Second {
			h.Errorf("a plain session took %s", took)
		}
		h.machine.Set(faults{ReadyTakes: time.Hour})
		for _, sid := range deaf {
			h.awaitSession(sid, ergane.SessionFailed)
			if why := h.session(sid).Status.Reason; !strings.Contains(why, "--max-start-time") {
				h.Errorf("reason %q", why)
			}
		}
	})
}

func TestASessionThatNeverGetsItsTurnFailsWithThatReason(t *testing.T) {
	withHarness(t, session.Config{Starts: 1, MaxStart: time.Hour}, func(h *harness) {
		h.machine.Set(faults{ReadyTakes: 50 * time.Minute})
		h.begin()
		h.settled()
		waits := h.begin()
		time.Sleep(29 * time.Minute)
		h.sessionIs(waits, ergane.SessionCreating, "")
		h.awaitSession(waits, ergane.SessionFailed)
		h.sessionIs(waits, ergane.SessionFailed, "the session did not get its turn to start within 30m0s: other sessions were starting all the time")
	})
}

func TestAKernelThatNeverWarmsUpIsReplaced(t *testing.T) {
	withFaults(t, session.Config{Pool: session.Pool{Size: 1, Max: 1}}, faults{ReadyTakes: time.Hour}, func(h *harness) {
		time.Sleep(time.Minute)
		h.machine.Set(faults{})
		time.Sleep(10 * time.Minute)
		h.settled()
		if waiting, warming := h.m.Pooled(); waiting != 1 || warming != 0 {
			h.Errorf("%d wait and %d are being started", waiting, warming)
		}
	})
}
