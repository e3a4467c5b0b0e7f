package session_test

import (
	"testing"
	"time"

	"github.com/ergane-dev/ergane"
	"github.com/ergane-dev/ergane/internal/session"
)

// idleFor starts a session of an idle timeout and waits until it is IDLE.
func (h *harness) idleFor(timeout time.Duration) string {
	h.Helper()
	s, err := h.m.StartSession(h.ctx, key, session.StartRequest{WorkGroup: ergane.PrimaryWorkGroup, IdleTimeout: timeout})
	h.must(err)
	h.awaitSession(s.ID, ergane.SessionIdle)
	return s.ID
}

func TestIdleTimeoutEndsASessionAndSaysSo(t *testing.T) {
	for timeout, reason := range map[time.Duration]string{
		20 * time.Minute: "Session was terminated because it was idle for 20 minutes",
		time.Minute:      "Session was terminated because it was idle for 1 minute",
	} {
		t.Run(timeout.String(), func(t *testing.T) {
			withHarness(t, session.Config{}, func(h *harness) {
				sid := h.idleFor(timeout)
				time.Sleep(timeout - time.Second)
				h.sessionIs(sid, ergane.SessionIdle, "")
				time.Sleep(2 * time.Second)
				h.settled()
				h.sessionIs(sid, ergane.SessionTerminated, reason)
				h.gone(sid)
			})
		})
	}
}

func TestIdleTimeoutCountsFromTheEndOfTheLastCalculation(t *testing.T) {
	withHarness(t, session.Config{}, func(h *harness) {
		sid := h.idleFor(10 * time.Minute)
		for range 3 {
			time.Sleep(9 * time.Minute)
			h.awaitCalculation(h.submit(sid, "print x"), ergane.CalculationCompleted)
		}
		time.Sleep(9 * time.Minute)
		h.sessionIs(sid, ergane.SessionIdle, "")
		time.Sleep(2 * time.Minute)
		h.sessionIs(sid, ergane.SessionTerminated, "Session was terminated because it was idle for 10 minutes")
	})
}

func TestIdleTimeoutNeverEndsABusySession(t *testing.T) {
	withHarness(t, session.Config{}, func(h *harness) {
		sid := h.idleFor(time.Minute)
		cid := h.submit(sid, "sleep 10m")
		time.Sleep(9 * time.Minute)
		h.sessionIs(sid, ergane.SessionBusy, "")
		time.Sleep(61 * time.Second)
		h.calculationIs(cid, ergane.CalculationCompleted, "")
		h.sessionIs(sid, ergane.SessionIdle, "")
		time.Sleep(2 * time.Minute)
		h.sessionIs(sid, ergane.SessionTerminated, "Session was terminated because it was idle for 1 minute")
	})
}

// A calculation that is accepted at the moment at which the time is over.
func TestSubmissionWinsAgainstTheIdleTimeout(t *testing.T) {
	withHarness(t, session.Config{}, func(h *harness) {
		sid := h.idleFor(time.Minute)
		var cid string
		h.store.Before(func(method string) {
			if method != "MoveSession" || cid != "" {
				return
			}
			c, _, err := h.db.Submit(h.ctx, ergane.Calculation{ID: "019a0000-0000-7000-8000-00000000cafe", SessionID: sid, Code: "print won",
				WorkingDirectory: "s3://bucket/x", Status: ergane.CalculationStatus{SubmittedAt: time.Now()}}, nil)
			if err != nil {
				h.Error(err)
			}
			cid = c.ID
		})
		time.Sleep(61 * time.Second)
		h.settled()
		h.store.Before(nil)
		h.calculationIs(cid, ergane.CalculationCompleted, "")
		h.delivered(cid, "won\n", "", "")
		h.sessionIs(sid, ergane.SessionIdle, "")
	})
}

func TestIdleTimeoutEndsADegradedSession(t *testing.T) {
	withHarness(t, session.Config{}, func(h *harness) {
		sid := h.idleFor(5 * time.Minute)
		h.machine.KillDriver(sid)
		h.awaitSession(sid, ergane.SessionDegraded)
		time.Sleep(6 * time.Minute)
		h.sessionIs(sid, ergane.SessionTerminated, "Session was terminated because it was idle for 5 minutes")
	})
}

// The wall clock may have been set while no server ran.
func TestSessionHasAMinuteLeftAfterARestartOfTheServer(t *testing.T) {
	withHarness(t, session.Config{}, func(h *harness) {
		sid := h.idleFor(10 * time.Minute)
		h.stop()
		time.Sleep(5 * time.Hour)
		h.serve()
		time.Sleep(59 * time.Second)
		h.sessionIs(sid, ergane.SessionIdle, "")
		h.awaitCalculation(h.submit(sid, "print x"), ergane.CalculationCompleted)
		time.Sleep(9 * time.Minute)
		h.sessionIs(sid, ergane.SessionIdle, "")
		time.Sleep(2 * time.Minute)
		h.sessionIs(sid, ergane.SessionTerminated, "Session was terminated because it was idle for 10 minutes")
	})
}
