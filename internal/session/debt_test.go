package session_test

import (
	"strings"
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
	h.awaitDeliveryOf(cid)
	c := h.calculation(cid)
	if c.Status.State != ergane.CalculationFailed || c.Status.Reason == "" {
		h.Errorf("late delivery made the calculation %s (%s)", c.Status.State, c.Status.Reason)
	}
	testkit.Await(h, patience, func() bool { return h.debts() == 0 })
}

// awaitDeliveryOf does not care for other debts.
func (h *house) awaitDeliveryOf(cid string) {
	h.Helper()
	testkit.Await(h, patience, func() bool { return h.calculation(cid).Result != nil })
	h.delivered(cid, "late\n", "", "")
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
		c := h.calculation(cid)
		if c.Result != nil {
			h.Error("a result without objects")
		}
		if !strings.HasSuffix(c.Status.Reason, "; the server has given it up, because the result store did not take it for 1h0m0s") {
			h.Errorf("reason %q", c.Status.Reason)
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

func TestNoMoreIsOwedThanAllowed(t *testing.T) {
	for name, c := range map[string]struct {
		cfg session.Config
		why string
	}{
		"calculations": {session.Config{OweCalculations: 2}, "the output of more than 2 calculations waited for the result store"},
		"bytes":        {session.Config{OweBytes: 2*len64("late\n") + 1}, "more than 11 bytes of output waited for the result store"},
	} {
		t.Run(name, func(t *testing.T) {
			inHouse(t, c.cfg, func(h *house) {
				back := h.away()
				sid := h.idle()
				first, others := h.owing(sid), []string{h.owing(sid), h.owing(sid)}
				testkit.Await(h, patience, func() bool { return h.debts() == 2 })
				h.settled()
				reason := h.calculation(first).Status.Reason
				if !strings.HasPrefix(reason, "the output could not be stored: put ") || !strings.HasSuffix(reason, ": connection refused; the server has given it up, because "+c.why) {
					h.Errorf("reason %q", reason)
				}
				if n := h.machine.Released(sid); n != len64("late\n") {
					h.Errorf("%d bytes were given back", n)
				}
				if got := h.meter.count(session.CountDebts, "over_limit"); got != 1 {
					h.Errorf("%d are counted as given up", got)
				}
				back()
				for _, cid := range others {
					h.awaitDelivery(cid)
				}
				if h.calculation(first).Result != nil {
					h.Error("what was given up has a result")
				}
			})
		})
	}
}

func len64(s string) int64 { return int64(len(s)) }

func TestABucketThatIsBackGetsAllThatIsOwedAtOnce(t *testing.T) {
	inHouse(t, session.Config{}, func(h *house) {
		back := h.away()
		sid := h.idle()
		var owed []string
		for range 5 {
			owed = append(owed, h.owing(sid))
		}
		time.Sleep(3 * time.Hour) // by now all of them are tried seldom
		back()
		begun := time.Now()
		testkit.Await(h, patience, func() bool { return h.debts() == 0 })
		if took := time.Since(begun); took > 11*time.Minute {
			h.Errorf("delivered %v after the store was back", took)
		}
		for _, cid := range owed {
			h.awaitDelivery(cid)
		}
	})
}

// owingIn makes a workgroup with an output location, and a debt there.
func (h *house) owingIn(name, location string) string {
	h.Helper()
	h.workGroup(ergane.WorkGroup{Name: name, Configuration: ergane.WorkGroupConfiguration{OutputLocation: location}})
	return h.owing(h.in(name))
}

func TestWhatIsDeliveredMeanwhileLeavesWhatIsOwedAlone(t *testing.T) {
	inHouse(t, session.Config{}, func(h *house) {
		h.away()
		sid := h.idle()
		owed := h.owing(sid)
		h.bucket.Fail(func(uri string) error {
			if strings.Contains(uri, owed) {
				return fakehost.ErrAway
			}
			return nil
		})
		next := h.submit(sid, "print next")
		h.awaitCalculation(next, ergane.CalculationCompleted)
		h.settled()
		if n := h.machine.Released(sid); n != len64("next\n") {
			h.Errorf("%d bytes were given back", n)
		}
		h.bucket.Fail(nil)
		h.awaitDelivery(owed)
		last := h.submit(sid, "print last")
		h.awaitCalculation(last, ergane.CalculationCompleted)
		h.settled()
		if n := h.machine.Released(sid); n != len64("next\n")+len64("late\n")+len64("late\nnext\nlast\n") {
			h.Errorf("%d bytes were given back after all", n)
		}
	})
}

func TestABucketThatHangsHoldsNobodyUp(t *testing.T) {
	inHouse(t, session.Config{}, func(h *house) {
		back := h.away()
		dead, alive := h.owingIn("first", "s3://dead"), h.owingIn("second", "s3://alive")
		release := h.bucket.HangBelow("s3://dead/")
		back()
		h.awaitDeliveryOf(alive)
		if h.calculation(dead).Result != nil {
			h.Error("delivered into a bucket that hangs")
		}
		release()
		h.awaitDelivery(dead)
	})
}

func TestAPlaceThatIsRefusedHoldsUpNoOtherOfItsBucket(t *testing.T) {
	inHouse(t, session.Config{}, func(h *house) {
		h.away()
		refused, allowed := h.owingIn("first", "s3://bucket/closed"), h.owingIn("second", "s3://bucket/open")
		h.bucket.Fail(func(uri string) error {
			if strings.HasPrefix(uri, "s3://bucket/closed/") {
				return fakehost.ErrDenied
			}
			return nil
		})
		h.awaitDeliveryOf(allowed)
		if h.calculation(refused).Result != nil {
			h.Error("delivered where that is refused")
		}
	})
}

// What user code has left goes at once, however long the spool must stay.
func TestOfASessionThatOwesOnlyItsSpoolStays(t *testing.T) {
	inHouse(t, session.Config{}, func(h *house) {
		back := h.away()
		sid := h.idle()
		cid := h.owing(sid)
		h.must(terminate(h, sid))
		h.awaitSession(sid, ergane.SessionTerminated)
		h.settled()
		if !h.machine.Trimmed(sid) || h.machine.Discarded(sid) {
			h.Errorf("trimmed: %t, discarded: %t", h.machine.Trimmed(sid), h.machine.Discarded(sid))
		}
		back()
		h.awaitDelivery(cid)
	})
}
