package session_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/ergane-dev/ergane"
	"github.com/ergane-dev/ergane/internal/session"
)

const stopped = "The calculation was stopped per request"

func (h *harness) stopCalculation(cid string) ergane.CalculationState {
	h.Helper()
	state, err := h.m.StopCalculation(h.ctx, cid)
	h.must(err)
	return state
}

func TestStopCancelsACalculationAndKeepsTheSession(t *testing.T) {
	withHarness(t, session.Config{}, func(h *harness) {
		sid := h.idle()
		cid := h.at(sid, "gate", "print kept\nwarn too")
		if state := h.stopCalculation(cid); state != ergane.CalculationCanceling {
			h.Errorf("answer %s", state)
		}
		h.awaitCalculation(cid, ergane.CalculationCanceled)
		h.calculationIs(cid, ergane.CalculationCanceled, stopped)
		h.sessionIs(sid, ergane.SessionIdle, "")
		h.delivered(cid, "kept\n", "too\n", "")
		next := h.submit(sid, "print next")
		h.awaitCalculation(next, ergane.CalculationCompleted)
		h.delivered(next, "next\n", "", "")
	})
}

// A calculation whose stop was durable before the kernel got the code.
func TestStopBeforeTheKernelTookTheCodeNeverRunsIt(t *testing.T) {
	withHarness(t, session.Config{}, func(h *harness) {
		sid := h.idle()
		h.store.Before(func(method string) { // the runner reads the store for something to do
			if method != "OpenCalculations" {
				return
			}
			open, err := h.db.OpenCalculations(h.ctx, sid)
			if err == nil && len(open) == 1 {
				_, _, err = h.db.MoveCalculation(h.ctx, ergane.CalculationStopping(open[0].ID, time.Now(), stopped))
			}
			if err != nil {
				h.Error(err)
			}
		})
		cid := h.submit(sid, "print never")
		h.awaitCalculation(cid, ergane.CalculationCanceled)
		h.store.Before(nil)
		h.calculationIs(cid, ergane.CalculationCanceled, stopped)
		h.ran(cid, 0)
		h.delivered(cid, "", "", "")
		h.sessionIs(sid, ergane.SessionIdle, "")
	})
}

func TestStopOfADeafKernelKillsItAfterTheGrace(t *testing.T) {
	withHarness(t, session.Config{InterruptGrace: 10 * time.Second}, func(h *harness) {
		sid := h.idle()
		h.machine.Set(faults{Deaf: true})
		cid := h.submit(sid, "print never")
		time.Sleep(5 * time.Second)
		if c := h.calculation(cid); c.Status.State != ergane.CalculationCreating {
			h.Errorf("%s although the kernel has not taken the code", c.Status.State)
		}
		h.stopCalculation(cid)
		time.Sleep(11 * time.Second)
		h.ran(cid, 0)
		h.calculationIs(cid, ergane.CalculationCanceled, stopped+" (the code did not react to the interrupt, so the session's kernel was killed)")
		h.sessionIs(sid, ergane.SessionFailed, "the code did not react to the interrupt, so the session's kernel was killed")
	})
}

func TestStopThatIsIgnoredKillsTheKernelAfterTheGrace(t *testing.T) {
	withHarness(t, session.Config{InterruptGrace: 30 * time.Second}, func(h *harness) {
		sid := h.idle()
		cid := h.submit(sid, "print kept\nhang")
		time.Sleep(time.Minute)
		h.stopCalculation(cid)
		for range 28 { // repeated stops change nothing
			time.Sleep(time.Second)
			if state := h.stopCalculation(cid); state != ergane.CalculationCanceling {
				h.Fatalf("%s within the grace", state)
			}
		}
		time.Sleep(3 * time.Second)
		h.calculationIs(cid, ergane.CalculationCanceled, stopped+" (the code did not react to the interrupt, so the session's kernel was killed)")
		h.sessionIs(sid, ergane.SessionFailed, "the code did not react to the interrupt, so the session's kernel was killed")
		h.delivered(cid, "kept\n", "", "")
		h.gone(sid)
	})
}

func TestStopAgainInterruptsAgainAtOnce(t *testing.T) {
	withHarness(t, session.Config{InterruptGrace: 30 * time.Second}, func(h *harness) {
		sid := h.idle()
		cid := h.submit(sid, "hang")
		time.Sleep(time.Second)
		for want := range 3 {
			h.stopCalculation(cid)
			h.stopCalculation(cid) // all at once: one interrupt
			h.settled()
			if got := h.machine.Orders(cid); got != want+1 {
				h.Errorf("%d interrupts, want %d", got, want+1)
			}
			time.Sleep(time.Second)
		}
		h.awaitCalculation(cid, ergane.CalculationCanceled)
	})
}

func TestStopOfAnEndedCalculationChangesNothing(t *testing.T) {
	withHarness(t, session.Config{}, func(h *harness) {
		sid := h.idle()
		cid := h.submit(sid, "print x")
		before := h.awaitCalculation(cid, ergane.CalculationCompleted)
		if state := h.stopCalculation(cid); state != ergane.CalculationCompleted {
			h.Errorf("answer %s", state)
		}
		h.settled()
		if after := h.calculation(cid); after.Status != before.Status {
			h.Errorf("before %+v, after %+v", before.Status, after.Status)
		}
		h.sessionIs(sid, ergane.SessionIdle, "")
	})
}

// Stops at any moment between submission and end: each calculation ends once,
// in the right state, and no stop reaches the next one.
func TestTwoHundredStopsThatRaceWithTheEndEndRight(t *testing.T) {
	withHarness(t, session.Config{}, func(h *harness) {
		sid := h.idle()
		ends := map[ergane.CalculationState]int{}
		for n := range 200 {
			cid := h.submit(sid, fmt.Sprintf("print %d\nsleep 2ms\nprint end", n))
			time.Sleep(time.Duration(n%5) * time.Millisecond)
			h.stopCalculation(cid)
			c := h.awaitEnd(cid)
			ends[c.Status.State]++
			full := fmt.Sprintf("%d\nend\n", n)
			switch {
			case c.Status.State == ergane.CalculationCompleted:
				h.delivered(cid, full, "", "")
				h.ran(cid, 1)
			case c.Status.State != ergane.CalculationCanceled || c.Status.Reason != stopped:
				h.Errorf("%s (%s)", c.Status.State, c.Status.Reason)
			case h.machine.Runs(cid) == 0:
				h.delivered(cid, "", "", "")
			default:
				h.delivered(cid, fmt.Sprintf("%d\n", n), "", "")
			}
			h.sessionIs(sid, ergane.SessionIdle, "")
		}
		if ends[ergane.CalculationCompleted] == 0 || ends[ergane.CalculationCanceled] == 0 {
			h.Errorf("no race: %v", ends)
		}
	})
}

func TestOutputLimitStopsTheCalculationAndSaysSo(t *testing.T) {
	withHarness(t, session.Config{MaxOutput: 1000}, func(h *harness) {
		sid := h.idle()
		cid := h.submit(sid, "fill 1001\nsleep 1h")
		h.awaitCalculation(cid, ergane.CalculationFailed)
		h.calculationIs(cid, ergane.CalculationFailed, "the calculation was stopped because it wrote more than 1000 bytes to stdout")
		h.sessionIs(sid, ergane.SessionIdle, "")
		if out, _ := h.bucket.Object(h.calculation(cid).Result.StdOut); len(out) != 1000 {
			h.Errorf("%d bytes were kept", len(out))
		}
		within := h.submit(sid, "fill 1000\nsleep 10s") // the limit is each calculation's own
		h.awaitCalculation(within, ergane.CalculationCompleted)
	})
}

func TestOutputThatGrowsTooFastToBeStoppedFailsTheCalculation(t *testing.T) {
	withHarness(t, session.Config{MaxOutput: 1000}, func(h *harness) {
		sid := h.idle()
		cid := h.submit(sid, "fill 1001")
		h.awaitCalculation(cid, ergane.CalculationFailed)
		h.calculationIs(cid, ergane.CalculationFailed, "the calculation was stopped because it wrote more than 1000 bytes to stdout")
		if out, _ := h.bucket.Object(h.calculation(cid).Result.StdOut); len(out) != 1000 {
			h.Errorf("%d bytes were delivered", len(out))
		}
		h.sessionIs(sid, ergane.SessionIdle, "")
	})
}

func TestOutputLimitKillsCodeThatIgnoresIt(t *testing.T) {
	withHarness(t, session.Config{MaxOutput: 1000, InterruptGrace: 10 * time.Second}, func(h *harness) {
		sid := h.idle()
		cid := h.submit(sid, "fill 1001\nhang")
		h.awaitCalculation(cid, ergane.CalculationFailed)
		h.calculationIs(cid, ergane.CalculationFailed, "the calculation was stopped because it wrote more than 1000 bytes to stdout"+
			"; the code did not react to the interrupt, so the session's kernel was killed")
		h.awaitSession(sid, ergane.SessionFailed)
	})
}
