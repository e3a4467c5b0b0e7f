package session_test

import (
	"testing"
	"time"

	"github.com/ergane-dev/ergane"
	"github.com/ergane-dev/ergane/internal/session"
	"github.com/ergane-dev/ergane/internal/testkit/fakehost"
)

// A store that fails for a while costs time and nothing else: every method of
// it in turn, without an effect and with its answer lost.
func TestStoreThatFailsForAWhileChangesNoOutcome(t *testing.T) {
	for _, method := range []string{fakehost.Any, "Session", "OpenCalculations", "MoveSession", "MoveCalculation", "Settle",
		"SaveExecutors", "EndExecutors", "Executors", "SetProgress", "Calculation"} {
		for how, fail := range map[string]func(*fakehost.Store, string, int){"fails": (*fakehost.Store).Fail, "loses answers": (*fakehost.Store).Lose} {
			t.Run(method+"/"+how, func(t *testing.T) {
				withHarness(t, session.Config{}, func(h *harness) {
					h.machine.Set(faults{ReadyTakes: 10 * time.Millisecond})
					sid := h.begin()
					fail(h.store, method, 3)
					h.awaitSession(sid, ergane.SessionIdle)

					fail(h.store, method, 0)
					cid := h.at(sid, "door", "print x")
					fail(h.store, method, 3)
					time.Sleep(time.Second)
					h.machine.Let("door")
					h.awaitCalculation(cid, ergane.CalculationCompleted)
					h.delivered(cid, "x\nthrough\n", "", "")
					h.ran(cid, 1)
					h.sessionIs(sid, ergane.SessionIdle, "")

					fail(h.store, method, 0)
					cid = h.at(sid, "other", "print y")
					h.stopCalculation(cid)
					fail(h.store, method, 3)
					h.awaitCalculation(cid, ergane.CalculationCanceled)
					h.delivered(cid, "y\n", "", "")

					fail(h.store, method, 0)
					h.must(terminate(h, sid))
					fail(h.store, method, 3)
					h.awaitSession(sid, ergane.SessionTerminated)
					h.sessionIs(sid, ergane.SessionTerminated, terminated)
				})
			})
		}
	}
}

// The client was told that its stop failed, and repeats it.
func TestStopWhoseAnswerWasLostStillStops(t *testing.T) {
	withHarness(t, session.Config{}, func(h *harness) {
		sid := h.idle()
		cid := h.at(sid, "door", "")
		time.Sleep(time.Minute)
		h.store.Lose("MoveCalculation", 1)
		if _, err := h.m.StopCalculation(h.ctx, cid); err == nil {
			h.Fatal("the answer was not lost")
		}
		if state := h.stopCalculation(cid); state != ergane.CalculationCanceling {
			h.Errorf("answer %s", state)
		}
		h.awaitCalculation(cid, ergane.CalculationCanceled)
	})
}

func TestTerminateWhoseAnswerWasLostStillTerminates(t *testing.T) {
	withHarness(t, session.Config{}, func(h *harness) {
		sid := h.idle()
		h.store.Lose("MoveSession", 1)
		if err := terminate(h, sid); err == nil {
			h.Fatal("the answer was not lost")
		}
		h.ends(sid, time.Second)
	})
}

// A stop is durable; a runner that cannot read it at first tries again.
func TestStopReachesCodeThatWouldRunForeverAlthoughTheStoreFails(t *testing.T) {
	withHarness(t, session.Config{}, func(h *harness) {
		sid := h.idle()
		cid := h.at(sid, "door", "")
		time.Sleep(time.Minute)
		h.store.Fail("Session", 3)
		h.stopCalculation(cid)
		h.awaitCalculation(cid, ergane.CalculationCanceled)
	})
}

func TestTerminateReachesASessionThatStartsAlthoughTheStoreFails(t *testing.T) {
	withHarness(t, session.Config{}, func(h *harness) {
		h.machine.Set(faults{StartTakes: time.Hour})
		sid := h.begin()
		time.Sleep(time.Minute)
		h.store.Fail("Session", 3)
		h.must(terminate(h, sid))
		time.Sleep(10 * time.Second)
		h.sessionIs(sid, ergane.SessionTerminated, terminated)
	})
}

func TestACalculationIsMarkedRunningAsSoonAsTheStoreWorks(t *testing.T) {
	withHarness(t, session.Config{}, func(h *harness) {
		sid := h.idle()
		h.store.Fail("MoveCalculation", 2)
		cid := h.at(sid, "door", "")
		time.Sleep(5 * time.Second)
		if c := h.calculation(cid); c.Status.State != ergane.CalculationRunning {
			h.Errorf("%s", c.Status.State)
		}
	})
}

func TestServerDoesNotStartWhileItCannotReadTheStore(t *testing.T) {
	withHarness(t, session.Config{}, func(h *harness) {
		sid := h.idle()
		h.stop()
		for _, method := range []string{"WorkGroup", "RenewLease", "TakeOver", "LiveSessions"} {
			h.build()
			h.store.Fail(method, 1)
			if err := h.m.Start(h.ctx); err == nil {
				h.Errorf("started although %s failed", method)
			}
			h.stop()
		}
		h.serve()
		h.awaitCalculation(h.submit(sid, "print x"), ergane.CalculationCompleted)
	})
}
