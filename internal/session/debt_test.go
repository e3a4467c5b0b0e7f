package session_test

import (
	"testing"
	"time"

	"github.com/ergane-dev/ergane"
	"github.com/ergane-dev/ergane/internal/session"
	"github.com/ergane-dev/ergane/internal/testkit"
	"github.com/ergane-dev/ergane/internal/testkit/fakehost"
)

// away makes the result store refuse everything; the function that it returns brings it back.
func (h *house) away() (back func()) {
	h.bucket.Fail(func(string) error { return fakehost.ErrAway })
	return func() { h.bucket.Fail(func(string) error { return nil }) }
}

// owing runs a calculation to its end while the result store is away.
func (h *house) owing(sid string) string {
	h.Helper()
	cid := h.submit(sid, "print late")
	h.awaitCalculation(cid, ergane.CalculationFailed)
	if c := h.calculation(cid); c.Result != nil {
		h.Errorf("result %+v although the store is away", c.Result)
	}
	return cid
}

func (h *house) awaitDelivery(cid string) {
	h.Helper()
	testkit.Await(h, patience, func() bool { return h.calculation(cid).Result != nil })
	h.delivered(cid, "late\n", "", "")
	c := h.calculation(cid)
	if c.Status.State != ergane.CalculationFailed || c.Status.Reason == "" {
		h.Errorf("late delivery made the calculation %s (%s)", c.Status.State, c.Status.Reason)
	}
	testkit.Await(h, patience, func() bool { return h.debts() == 0 })
}

func (h *house) debts() int {
	h.Helper()
	ds, err := h.db.Debts(h.ctx)
	h.must(err)
	return len(ds)
}

func TestWhatCouldNotBeDeliveredIsDeliveredLater(t *testing.T) {
	inHouse(t, session.Config{}, func(h *house) {
		back := h.away()
		sid := h.idle()
		cid := h.owing(sid)
		h.awaitSession(sid, ergane.SessionIdle)
		back()
		next := h.submit(sid, "print next") // the session goes on meanwhile
		h.awaitCalculation(next, ergane.CalculationCompleted)
		h.awaitDelivery(cid)
		h.delivered(next, "next\n", "", "")
	})
}

func TestWhatIsOwedOutlivesTheSessionAndTheServer(t *testing.T) {
	inHouse(t, session.Config{}, func(h *house) {
		back := h.away()
		sid := h.idle()
		cid := h.owing(sid)
		h.must(terminate(h, sid))
		h.awaitSession(sid, ergane.SessionTerminated)
		h.kill()
		h.serve()
		time.Sleep(3 * time.Hour) // of the bubble: the reaper looked, and left it
		if h.calculation(cid).Result != nil || h.debts() != 1 {
			h.Error("delivered while the store was away")
		}
		back()
		h.awaitDelivery(cid)
		if !h.machine.Discarded(sid) {
			h.Error("the files of the session are still there")
		}
	})
}

func TestWhatIsOwedForTooLongIsWrittenOff(t *testing.T) {
	inHouse(t, session.Config{OweFor: time.Hour}, func(h *house) {
		h.away()
		sid := h.idle()
		cid := h.owing(sid)
		h.must(terminate(h, sid))
		h.awaitSession(sid, ergane.SessionTerminated)
		time.Sleep(50 * time.Minute)
		if h.debts() != 1 || h.machine.Discarded(sid) {
			h.Error("written off too early")
		}
		time.Sleep(15 * time.Minute)
		if h.debts() != 0 || !h.machine.Discarded(sid) {
			h.Error("not written off")
		}
		if h.calculation(cid).Result != nil {
			h.Error("a result without objects")
		}
	})
}

func TestOutputThatIsDamagedIsNotOwed(t *testing.T) {
	inHouse(t, session.Config{}, func(h *house) {
		sid := h.idle()
		h.machine.Set(faults{Section: session.ErrSpool})
		cid := h.submit(sid, "print lost")
		h.awaitCalculation(cid, ergane.CalculationFailed)
		if h.debts() != 0 {
			h.Error("what cannot be read is owed")
		}
		h.machine.Set(faults{})
	})
}

func TestWhatWasDeliveredLateIsDeliveredAgainUntilThatIsRecorded(t *testing.T) {
	inHouse(t, session.Config{}, func(h *house) {
		back := h.away()
		sid := h.idle()
		cid := h.owing(sid)
		h.store.Fail("SetResult", 3)
		back()
		h.awaitDelivery(cid)
		if sp, err := h.machine.Host(h.power).Spool(sid); err == nil {
			sp.Close()
		}
	})
}

func TestADebtOfADeletedWorkGroupIsNobodysAndHoldsNobodyUp(t *testing.T) {
	inHouse(t, session.Config{}, func(h *house) {
		back := h.away()
		h.workGroup(ergane.WorkGroup{Name: "w"})
		h.owing(h.in("w"))
		stays := h.owing(h.idle())
		// The workgroup goes between the look at what is owed and the first payment.
		looked := false
		h.store.Before(func(method string) {
			if method == "Debts" {
				looked = true
			} else if looked && method == "Session" {
				h.store.Before(nil)
				h.must(h.m.DeleteWorkGroup(h.ctx, "w", true))
			}
		})
		back()
		h.awaitDelivery(stays)
	})
}
