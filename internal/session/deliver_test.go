package session_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ergane-dev/ergane"
	"github.com/ergane-dev/ergane/internal/delivery"
	"github.com/ergane-dev/ergane/internal/session"
	"github.com/ergane-dev/ergane/internal/testkit/fakehost"
)

// always is a fault of every object whose address ends in suffix.
func always(suffix string, err error) func(string) error {
	return func(uri string) error {
		if strings.HasSuffix(uri, suffix) {
			return err
		}
		return nil
	}
}

func TestDeliveryIsRepeatedUntilTheStoreIsBack(t *testing.T) {
	withHarness(t, session.Config{}, func(h *harness) {
		sid := h.idle()
		h.bucket.Fail(always("", fakehost.ErrUnreachable))
		cid := h.submit(sid, "print kept")
		time.Sleep(14 * time.Minute)
		if c := h.calculation(cid); c.Status.State != ergane.CalculationRunning || c.Result != nil {
			h.Errorf("%s, %v", c.Status.State, c.Result)
		}
		h.sessionIs(sid, ergane.SessionBusy, "")
		h.bucket.Fail(nil)
		h.awaitCalculation(cid, ergane.CalculationCompleted)
		h.delivered(cid, "kept\n", "", "")
		h.ran(cid, 1)
	})
}

func TestDeliveryGivesUpAndSaysWhy(t *testing.T) {
	for name, c := range map[string]struct {
		err   error
		after time.Duration
	}{
		"unreachable": {fakehost.ErrUnreachable, 15 * time.Minute},
		"denied":      {fakehost.ErrDenied, time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			withHarness(t, session.Config{}, func(h *harness) {
				sid := h.idle()
				h.bucket.Fail(always("/stderr", c.err))
				begun := time.Now()
				cid := h.submit(sid, "print kept\nraise ValueError: bad")
				ended := h.awaitCalculation(cid, ergane.CalculationFailed)
				if took := time.Since(begun); took > c.after || took < c.after-10*time.Second {
					h.Errorf("gave up after %v", took)
				}
				if ended.Result != nil {
					h.Error("a result without its objects")
				}
				h.calculationIs(cid, ergane.CalculationFailed, fmt.Sprintf(
					"the output could not be stored: put %s/stderr: %v; the calculation had ended with: ValueError: bad", ended.WorkingDirectory, c.err))
				h.sessionIs(sid, ergane.SessionIdle, "")
				h.bucket.Fail(nil)
				h.awaitCalculation(h.submit(sid, "print next"), ergane.CalculationCompleted)
			})
		})
	}
}

func TestCompletedCalculationThatCannotBeStoredHasFailed(t *testing.T) {
	withHarness(t, session.Config{DeliverFor: 10 * time.Second}, func(h *harness) {
		sid := h.idle()
		h.bucket.Fail(always("/results", fakehost.ErrUnreachable))
		cid := h.submit(sid, "print kept")
		c := h.awaitCalculation(cid, ergane.CalculationFailed)
		h.calculationIs(cid, ergane.CalculationFailed, "the output could not be stored: put "+c.WorkingDirectory+"/results: connection refused")
	})
}

func TestDamagedSpoolFailsAtOnce(t *testing.T) {
	withHarness(t, session.Config{}, func(h *harness) {
		sid := h.idle()
		h.machine.Set(faults{Section: fmt.Errorf("%w: 3 bytes of the output are gone", delivery.ErrSpool)})
		begun := time.Now()
		cid := h.submit(sid, "print gone")
		c := h.awaitCalculation(cid, ergane.CalculationFailed)
		if took := time.Since(begun); took > time.Second {
			h.Errorf("took %v", took)
		}
		if c.Result != nil || !strings.Contains(c.Status.Reason, "3 bytes of the output are gone") {
			h.Errorf("reason %q, result %v", c.Status.Reason, c.Result)
		}
		h.sessionIs(sid, ergane.SessionIdle, "")
		h.machine.Set(faults{})
		h.awaitCalculation(h.submit(sid, "print next"), ergane.CalculationCompleted)
	})
}

// A block may truncate the file that its own output goes to.
func TestSpoolThatIsShorterThanItsOutcomeSaysFails(t *testing.T) {
	withHarness(t, session.Config{}, func(h *harness) {
		sid := h.idle()
		cid := h.at(sid, "door", "print 12345")
		h.kill()
		h.machine.Let("door")
		h.settled()
		h.machine.Truncate(sid, ergane.Stdout, 2)
		begun := time.Now()
		h.serve()
		c := h.awaitCalculation(cid, ergane.CalculationFailed)
		if took := time.Since(begun); took > time.Second {
			h.Errorf("took %v", took)
		}
		h.calculationIs(cid, ergane.CalculationFailed, "the output could not be stored: read the spool: the spool is damaged: 12 bytes of the output are gone")
		if c.Result != nil {
			h.Errorf("result %v", c.Result)
		}
		h.sessionIs(sid, ergane.SessionIdle, "")
	})
}

func TestSpoolThatCannotBeOpenedFails(t *testing.T) {
	withHarness(t, session.Config{}, func(h *harness) {
		sid := h.idle()
		h.machine.Set(faults{Spool: fmt.Errorf("%w: the folder is gone", delivery.ErrSpool)})
		cid := h.submit(sid, "print lost")
		if c := h.awaitCalculation(cid, ergane.CalculationFailed); c.Result != nil {
			h.Errorf("result %v", c.Result)
		}
		h.calculationIs(cid, ergane.CalculationFailed, "the output could not be stored: the spool is damaged: the folder is gone")
		silent := h.submit(sid, "sleep 1ms") // which needs no spool
		h.awaitCalculation(silent, ergane.CalculationCompleted)
		h.delivered(silent, "", "", "")
	})
}

func TestTerminateShortensTheRetries(t *testing.T) {
	withHarness(t, session.Config{}, func(h *harness) {
		sid := h.idle()
		h.bucket.Fail(always("", fakehost.ErrUnreachable))
		cid := h.submit(sid, "print x")
		time.Sleep(30 * time.Second)
		h.must(terminate(h, sid))
		time.Sleep(time.Minute)
		h.sessionIs(sid, ergane.SessionTerminated, terminated)
		if c := h.calculation(cid); c.Status.State != ergane.CalculationFailed || c.Result != nil {
			h.Errorf("%s, %v", c.Status.State, c.Result)
		}
	})
}

func TestTheDiskSpaceOfDeliveredOutputIsFreed(t *testing.T) {
	withHarness(t, session.Config{}, func(h *harness) {
		sid := h.idle()
		cid := h.submit(sid, "fill 5000\nwarn 123")
		h.awaitCalculation(cid, ergane.CalculationCompleted)
		h.settled()
		if n := h.machine.Released(sid); n != 5004 {
			h.Errorf("%d bytes were given back", n)
		}
	})
}

func TestTheFilesOfADeliveredCalculationAreRemovedWhenTheNextOneHasEnded(t *testing.T) {
	withHarness(t, session.Config{}, func(h *harness) {
		sid := h.idle()
		var ids []string
		for range 3 {
			ids = append(ids, h.submit(sid, "print x"))
			h.awaitCalculation(ids[len(ids)-1], ergane.CalculationCompleted)
			h.settled()
			if got := h.machine.Removed(sid); !slices.Equal(got, ids[:len(ids)-1]) {
				h.Errorf("removed are %v of %v", got, ids)
			}
		}
	})
}

func TestUndeliveredOutputKeepsItsDiskSpace(t *testing.T) {
	withHarness(t, session.Config{DeliverFor: time.Second}, func(h *harness) {
		sid := h.idle()
		h.bucket.Fail(always("/stdout", fakehost.ErrUnreachable))
		cid := h.submit(sid, "fill 5000")
		h.awaitCalculation(cid, ergane.CalculationFailed)
		h.settled()
		h.awaitCalculation(h.submit(sid, "raise ValueError: next"), ergane.CalculationFailed)
		h.settled()
		if n, removed := h.machine.Released(sid), h.machine.Removed(sid); n != 0 || len(removed) != 0 {
			h.Errorf("%d bytes were given back, and the files of %v", n, removed)
		}
	})
}

func TestServerStopsAtOnceWhileTheStoreHangsAndTheNextDelivers(t *testing.T) {
	withHarness(t, session.Config{}, func(h *harness) {
		sid := h.idle()
		release := h.bucket.Hang()
		cid := h.submit(sid, "print kept")
		time.Sleep(time.Minute)
		begun := time.Now()
		h.stop()
		if took := time.Since(begun); took != 0 {
			h.Errorf("stopping took %v", took)
		}
		release()
		h.serve()
		h.awaitCalculation(cid, ergane.CalculationCompleted)
		h.delivered(cid, "kept\n", "", "")
		h.ran(cid, 1)
		h.sessionIs(sid, ergane.SessionIdle, "")
	})
}

// The objects were stored but the end could not be recorded when the server
// stopped: the next one delivers again, so the output must still be there.
func TestOutputIsKeptUntilTheEndIsRecorded(t *testing.T) {
	withHarness(t, session.Config{}, func(h *harness) {
		sid := h.idle()
		h.store.Fail("Settle", 1<<30)
		cid := h.submit(sid, "print precious")
		time.Sleep(time.Minute)
		h.stop()
		h.serve()
		h.awaitCalculation(cid, ergane.CalculationCompleted)
		h.delivered(cid, "precious\n", "", "")
	})
}
