package session_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ergane-dev/ergane"
	"github.com/ergane-dev/ergane/internal/session"
)

var holding = session.Config{Hold: time.Second}

// read reads a calculation as the API does and says how long that took.
func (h *harness) read(key, cid string) (ergane.Calculation, time.Duration) {
	h.Helper()
	begun := time.Now()
	c, err := h.m.Calculation(h.ctx, key, cid)
	h.must(err)
	return c, time.Since(begun)
}

func TestReadOfAYoungCalculationIsAnsweredWhenItEnds(t *testing.T) {
	withHarness(t, holding, func(h *harness) {
		sid := h.idle()
		cid := h.submit(sid, "sleep 300ms\nprint done")
		c, took := h.read(key, cid)
		if c.Status.State != ergane.CalculationCompleted || took != 300*time.Millisecond {
			h.Errorf("%s after %v", c.Status.State, took)
		}
		h.sessionIs(sid, ergane.SessionIdle, "")
	})
}

func TestReadIsHeldUntilTheHoldIsOverAndNotLonger(t *testing.T) {
	withHarness(t, holding, func(h *harness) {
		sid := h.idle()
		cid := h.submit(sid, "sleep 1h")
		time.Sleep(400 * time.Millisecond)
		if c, took := h.read(key, cid); c.Status.State != ergane.CalculationRunning || took != 600*time.Millisecond {
			h.Errorf("%s after %v", c.Status.State, took)
		}
		for range 10 { // reads of anything older than the hold are never held
			if _, took := h.read(key, cid); took != 0 {
				h.Errorf("held for %v", took)
			}
			time.Sleep(time.Second)
		}
	})
}

func TestReadAfterAStopIsAnsweredWhenTheCalculationHasEnded(t *testing.T) {
	withHarness(t, holding, func(h *harness) {
		sid := h.idle()
		cid := h.at(sid, "gate", "")
		time.Sleep(time.Minute)
		release := h.bucket.Hang()
		h.stopCalculation(cid)
		time.AfterFunc(200*time.Millisecond, release)
		if c, took := h.read(key, cid); c.Status.State != ergane.CalculationCanceled || took != 200*time.Millisecond {
			h.Errorf("%s after %v", c.Status.State, took)
		}
	})
}

func TestReadOfACreatingSessionIsAnsweredWhenItIsIdle(t *testing.T) {
	withHarness(t, holding, func(h *harness) {
		h.machine.Set(faults{ReadyTakes: 700 * time.Millisecond})
		begun := time.Now()
		sid := h.begin() // answers after at most 300 ms
		if took := time.Since(begun); took != 300*time.Millisecond {
			h.Errorf("StartSession took %v", took)
		}
		s, err := h.m.Session(h.ctx, key, sid)
		if took := time.Since(begun); err != nil || s.Status.State != ergane.SessionIdle || took != 700*time.Millisecond {
			h.Errorf("%s after %v, %v", s.Status.State, took, err)
		}
	})
}

func TestStartSessionAnswersIdleIfTheKernelIsQuick(t *testing.T) {
	withHarness(t, holding, func(h *harness) {
		h.machine.Set(faults{ReadyTakes: 50 * time.Millisecond})
		s, err := h.m.StartSession(h.ctx, key, session.StartRequest{WorkGroup: ergane.PrimaryWorkGroup})
		if err != nil || s.Status.State != ergane.SessionIdle {
			h.Errorf("%s, %v", s.Status.State, err)
		}
	})
}

func TestReadAfterATerminateIsAnsweredAtTheEnd(t *testing.T) {
	withHarness(t, holding, func(h *harness) {
		sid := h.idle()
		time.Sleep(time.Minute)
		h.must(terminate(h, sid))
		s, err := h.m.Session(h.ctx, key, sid)
		if err != nil || s.Status.State != ergane.SessionTerminated {
			h.Errorf("%s, %v", s.Status.State, err)
		}
	})
}

func TestHoldOfZeroHoldsNothing(t *testing.T) {
	withHarness(t, session.Config{}, func(h *harness) {
		h.machine.Set(faults{ReadyTakes: 100 * time.Millisecond})
		begun := time.Now()
		sid := h.begin()
		if _, err := h.m.Session(h.ctx, key, sid); err != nil || time.Since(begun) != 0 {
			h.Errorf("%v after %v", err, time.Since(begun))
		}
		h.awaitSession(sid, ergane.SessionIdle)
		if _, took := h.read(key, h.submit(sid, "sleep 100ms")); took != 0 {
			h.Errorf("held for %v", took)
		}
	})
}

// heldOf starts as many reads as given, by keys of the client's number, and
// counts those that are held.
func (h *harness) heldOf(cid string, readers int, keyOf func(int) string) (held int, wait func()) {
	var answered atomic.Int64
	var clients sync.WaitGroup
	for i := range readers {
		clients.Go(func() {
			if _, err := h.m.Calculation(h.ctx, keyOf(i), cid); err != nil {
				h.Error(err)
			}
			answered.Add(1)
		})
	}
	h.settled()
	return readers - int(answered.Load()), clients.Wait
}

func TestHoldsAreBoundedPerKeyAndPerServer(t *testing.T) {
	withHarness(t, holding, func(h *harness) {
		cid := h.submit(h.idle(), "sleep 1h")
		one, wait := h.heldOf(cid, 100, func(int) string { return key })
		if one != 64 {
			h.Errorf("%d reads of one key are held", one)
		}
		wait()

		cid = h.submit(h.idle(), "sleep 1h")
		many, wait := h.heldOf(cid, 1100, func(i int) string { return fmt.Sprint(i / 50) })
		if many != 1024 {
			h.Errorf("%d reads are held", many)
		}
		wait()

		cid = h.submit(h.idle(), "sleep 1h") // the earlier reads do not count any more
		if again, wait := h.heldOf(cid, 100, func(int) string { return key }); again != 64 {
			h.Errorf("%d reads of one key are held afterwards", again)
		} else {
			wait()
		}
	})
}

func TestHeldReadEndsWithItsClient(t *testing.T) {
	withHarness(t, holding, func(h *harness) {
		cid := h.submit(h.idle(), "sleep 1h")
		left := errors.New("the client has left")
		ctx, leave := context.WithCancelCause(h.ctx)
		time.AfterFunc(100*time.Millisecond, func() { leave(left) })
		begun := time.Now()
		_, err := h.m.Calculation(ctx, key, cid)
		if took := time.Since(begun); !errors.Is(err, left) || took != 100*time.Millisecond {
			h.Errorf("%v after %v", err, took)
		}
	})
}

func TestHeldReadIsAnsweredWhenTheServerStops(t *testing.T) {
	withHarness(t, holding, func(h *harness) {
		cid := h.submit(h.idle(), "sleep 1h")
		time.AfterFunc(100*time.Millisecond, h.m.Close)
		if c, took := h.read(key, cid); c.Status.State.Terminal() || took != 100*time.Millisecond {
			h.Errorf("%s after %v", c.Status.State, took)
		}
	})
}
