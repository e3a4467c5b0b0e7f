package session_test

import (
	"strings"
	"testing"
	"time"

	"github.com/ergane-dev/ergane"
	"github.com/ergane-dev/ergane/internal/delivery"
	"github.com/ergane-dev/ergane/internal/session"
	"github.com/ergane-dev/ergane/internal/testkit"
	"github.com/ergane-dev/ergane/internal/testkit/fakehost"
)

// unreachable makes the result store refuse everything; the function that it returns ends that.
func (h *harness) unreachable() (back func()) {
	h.bucket.Fail(func(string) error { return fakehost.ErrUnreachable })
	return func() { h.bucket.Fail(func(string) error { return nil }) }
}

// undelivered runs a calculation to its end while the result store is unreachable.
func (h *harness) undelivered(sid string) string {
	h.Helper()
	cid := h.submit(sid, "print late")
	h.awaitCalculation(cid, ergane.CalculationFailed)
	if c := h.calculation(cid); c.Result != nil {
		h.Errorf("result %+v although the store is unreachable", c.Result)
	}
	return cid
}

func (h *harness) awaitDelivery(cid string) {
	h.Helper()
	h.awaitDeliveryOf(cid)
	c := h.calculation(cid)
	if c.Status.State != ergane.CalculationFailed || c.Status.Reason == "" {
		h.Errorf("redelivery made the calculation %s (%s)", c.Status.State, c.Status.Reason)
	}
	testkit.Await(h, patience, func() bool { return h.pending() == 0 })
}

// awaitDeliveryOf does not look at other pending deliveries.
func (h *harness) awaitDeliveryOf(cid string) {
	h.Helper()
	testkit.Await(h, patience, func() bool { return h.calculation(cid).Result != nil })
	h.delivered(cid, "late\n", "", "")
}

func (h *harness) pending() int {
	h.Helper()
	ps, err := h.db.PendingDeliveries(h.ctx)
	h.must(err)
	return len(ps)
}

func TestWhatCouldNotBeDeliveredIsRedelivered(t *testing.T) {
	withHarness(t, session.Config{}, func(h *harness) {
		back := h.unreachable()
		sid := h.idle()
		cid := h.undelivered(sid)
		h.awaitSession(sid, ergane.SessionIdle)
		back()
		next := h.submit(sid, "print next") // the session goes on meanwhile
		h.awaitCalculation(next, ergane.CalculationCompleted)
		h.awaitDelivery(cid)
		h.delivered(next, "next\n", "", "")
	})
}

func TestAPendingDeliveryOutlivesTheSessionAndTheServer(t *testing.T) {
	withHarness(t, session.Config{}, func(h *harness) {
		back := h.unreachable()
		sid := h.idle()
		cid := h.undelivered(sid)
		h.must(terminate(h, sid))
		h.awaitSession(sid, ergane.SessionTerminated)
		h.kill()
		h.serve()
		time.Sleep(3 * time.Hour) // of the bubble: the reaper has run, and left the files
		if h.calculation(cid).Result != nil || h.pending() != 1 {
			h.Error("delivered while the store was unreachable")
		}
		back()
		h.awaitDelivery(cid)
		if !h.machine.Discarded(sid) {
			h.Error("the files of the session are still there")
		}
	})
}

func TestWhatIsPendingForTooLongIsDiscarded(t *testing.T) {
	withHarness(t, session.Config{RedeliverFor: time.Hour}, func(h *harness) {
		h.unreachable()
		sid := h.idle()
		cid := h.undelivered(sid)
		h.must(terminate(h, sid))
		h.awaitSession(sid, ergane.SessionTerminated)
		time.Sleep(50 * time.Minute)
		if h.pending() != 1 || h.machine.Discarded(sid) {
			h.Error("discarded too early")
		}
		time.Sleep(15 * time.Minute)
		if h.pending() != 0 || !h.machine.Discarded(sid) {
			h.Error("not discarded")
		}
		c := h.calculation(cid)
		if c.Result != nil {
			h.Error("a result without objects")
		}
		if !strings.HasSuffix(c.Status.Reason, "; the server has discarded it, because the result store did not take it for 1h0m0s") {
			h.Errorf("reason %q", c.Status.Reason)
		}
	})
}

func TestOutputThatIsDamagedIsNotPending(t *testing.T) {
	withHarness(t, session.Config{}, func(h *harness) {
		sid := h.idle()
		h.machine.Set(faults{Section: delivery.ErrSpool})
		cid := h.submit(sid, "print lost")
		h.awaitCalculation(cid, ergane.CalculationFailed)
		if h.pending() != 0 {
			h.Error("what cannot be read is pending")
		}
		h.machine.Set(faults{})
	})
}

func TestWhatWasRedeliveredIsRedeliveredAgainUntilThatIsRecorded(t *testing.T) {
	withHarness(t, session.Config{}, func(h *harness) {
		back := h.unreachable()
		sid := h.idle()
		cid := h.undelivered(sid)
		h.store.Fail("RecordDelivery", 3)
		back()
		h.awaitDelivery(cid)
		if sp, err := h.machine.Host(h.power).Spool(sid); err == nil {
			sp.Close()
		}
	})
}

func TestAPendingDeliveryOfADeletedWorkGroupIsRemovedAndDelaysNoOther(t *testing.T) {
	withHarness(t, session.Config{}, func(h *harness) {
		back := h.unreachable()
		h.workGroup(ergane.WorkGroup{Name: "w"})
		h.undelivered(h.in("w"))
		stays := h.undelivered(h.idle())
		// The workgroup is deleted between the query for pending deliveries and the first redelivery.
		looked := false
		h.store.Before(func(method string) {
			if method == "PendingDeliveries" {
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

func TestNoMoreIsPendingThanAllowed(t *testing.T) {
	for name, c := range map[string]struct {
		cfg session.Config
		why string
	}{
		"calculations": {session.Config{MaxPending: 2}, "the output of more than 2 calculations waited for the result store"},
		"bytes":        {session.Config{MaxPendingBytes: 2*len64("late\n") + 1}, "more than 11 bytes of output waited for the result store"},
	} {
		t.Run(name, func(t *testing.T) {
			withHarness(t, c.cfg, func(h *harness) {
				back := h.unreachable()
				sid := h.idle()
				first, others := h.undelivered(sid), []string{h.undelivered(sid), h.undelivered(sid)}
				testkit.Await(h, patience, func() bool { return h.pending() == 2 })
				h.settled()
				reason := h.calculation(first).Status.Reason
				if !strings.HasPrefix(reason, "the output could not be stored: put ") || !strings.HasSuffix(reason, ": connection refused; the server has discarded it, because "+c.why) {
					h.Errorf("reason %q", reason)
				}
				if n := h.machine.Released(sid); n != len64("late\n") {
					h.Errorf("%d bytes were given back", n)
				}
				if got := h.meter.count(session.CountRedeliveries, "over_limit"); got != 1 {
					h.Errorf("%d are counted as discarded", got)
				}
				back()
				for _, cid := range others {
					h.awaitDelivery(cid)
				}
				if h.calculation(first).Result != nil {
					h.Error("what was discarded has a result")
				}
			})
		})
	}
}

func len64(s string) int64 { return int64(len(s)) }

func TestABucketThatIsReachableAgainGetsAllPendingDeliveriesAtOnce(t *testing.T) {
	withHarness(t, session.Config{}, func(h *harness) {
		back := h.unreachable()
		sid := h.idle()
		var ids []string
		for range 5 {
			ids = append(ids, h.undelivered(sid))
		}
		time.Sleep(3 * time.Hour) // by now the pauses between attempts are long
		back()
		begun := time.Now()
		testkit.Await(h, patience, func() bool { return h.pending() == 0 })
		if took := time.Since(begun); took > 11*time.Minute {
			h.Errorf("delivered %v after the store was back", took)
		}
		for _, cid := range ids {
			h.awaitDelivery(cid)
		}
	})
}

// undeliveredIn makes a workgroup with an output location, and a pending delivery there.
func (h *harness) undeliveredIn(name, location string) string {
	h.Helper()
	h.workGroup(ergane.WorkGroup{Name: name, Configuration: ergane.WorkGroupConfiguration{OutputLocation: location}})
	return h.undelivered(h.in(name))
}

func TestADeliveryMeanwhileKeepsTheSpoolOfAPendingOne(t *testing.T) {
	withHarness(t, session.Config{}, func(h *harness) {
		h.unreachable()
		sid := h.idle()
		pending := h.undelivered(sid)
		h.bucket.Fail(func(uri string) error {
			if strings.Contains(uri, pending) {
				return fakehost.ErrUnreachable
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
		h.awaitDelivery(pending)
		last := h.submit(sid, "print last")
		h.awaitCalculation(last, ergane.CalculationCompleted)
		h.settled()
		if n := h.machine.Released(sid); n != len64("next\n")+len64("late\n")+len64("late\nnext\nlast\n") {
			h.Errorf("%d bytes were given back after all", n)
		}
	})
}

func TestABucketThatHangsDelaysNoOther(t *testing.T) {
	withHarness(t, session.Config{}, func(h *harness) {
		back := h.unreachable()
		dead, alive := h.undeliveredIn("first", "s3://dead"), h.undeliveredIn("second", "s3://alive")
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

func TestARefusedOutputLocationDelaysNoOtherOfItsBucket(t *testing.T) {
	withHarness(t, session.Config{}, func(h *harness) {
		h.unreachable()
		refused, allowed := h.undeliveredIn("first", "s3://bucket/closed"), h.undeliveredIn("second", "s3://bucket/open")
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

// The files of user code are removed at once, however long the spool must stay.
func TestOfASessionWithAPendingDeliveryOnlyItsSpoolStays(t *testing.T) {
	withHarness(t, session.Config{}, func(h *harness) {
		back := h.unreachable()
		sid := h.idle()
		cid := h.undelivered(sid)
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
