package session_test

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/ergane-dev/ergane"
	"github.com/ergane-dev/ergane/internal/session"
)

func (h *harness) refusedStart(req session.StartRequest, sentence string) {
	h.Helper()
	_, err := h.m.StartSession(h.ctx, key, req)
	h.fails(err, ergane.CodeQuota, "Maximum allowed sessions reached: "+sentence+" more. End a session, or try again later.")
}

func TestFiftyStartsAgainstALimitOfTenAreTen(t *testing.T) {
	withHarness(t, session.Config{Limits: ergane.Limits{Sessions: 10}}, func(h *harness) {
		var group sync.WaitGroup
		var mu sync.Mutex
		var begun []string
		for range 50 {
			group.Go(func() {
				s, err := h.m.StartSession(h.ctx, key, session.StartRequest{WorkGroup: "primary"})
				if err != nil {
					h.fails(err, ergane.CodeQuota, "Maximum allowed sessions reached: this server has 10 of 10 sessions, and this one needs 1 more. End a session, or try again later.")
					return
				}
				mu.Lock()
				defer mu.Unlock()
				begun = append(begun, s.ID)
			})
		}
		group.Wait()
		if len(begun) != 10 {
			h.Fatalf("%d sessions began", len(begun))
		}
		h.awaitSession(begun[0], ergane.SessionIdle)
		h.must(terminate(h, begun[0])) // a TERMINATING session does not count
		h.begin()
		h.refusedStart(session.StartRequest{WorkGroup: "primary"}, "this server has 10 of 10 sessions, and this one needs 1")
	})
}

func TestLimitsOfWorkGroupsDpusAndMemory(t *testing.T) {
	dpus := func(n int) session.StartRequest {
		return session.StartRequest{WorkGroup: "primary", Engine: ergane.EngineConfiguration{MaxConcurrentDpus: n}}
	}
	for _, c := range []struct {
		limits   ergane.Limits
		memory   int64
		req      session.StartRequest
		sentence string
		other    bool // a session of another workgroup is admitted
	}{
		{ergane.Limits{WorkGroupSessions: 1}, 0, dpus(2), "workgroup primary has 1 of 1 sessions, and this one needs 1", true},
		{ergane.Limits{Dpus: 30}, 0, dpus(0), "this server's sessions have 20 of 30 DPUs, and this one needs 20", false},
		{ergane.Limits{WorkGroupDpus: 22}, 0, dpus(3), "the sessions of workgroup primary have 20 of 22 DPUs, and this one needs 3", true},
		{ergane.Limits{Memory: 3 << 30}, 2 << 30, dpus(2), "this server's sessions need 2048 of 3072 MiB of memory, and this one needs 2048 MiB", false},
	} {
		t.Run(c.sentence, func(t *testing.T) {
			withHarness(t, session.Config{Limits: c.limits}, func(h *harness) {
				h.machine.Set(faults{Memory: c.memory})
				h.workGroup(ergane.WorkGroup{Name: "other"})
				first := h.idle()
				h.refusedStart(c.req, c.sentence)
				if c.other {
					h.in("other")
				}
				h.must(terminate(h, first))
				h.awaitSession(first, ergane.SessionTerminated)
				_, err := h.m.StartSession(h.ctx, key, c.req)
				h.must(err)
			})
		})
	}
}

func TestARefusedStartDoesNotUseUpItsToken(t *testing.T) {
	withHarness(t, session.Config{Limits: ergane.Limits{Sessions: 1}}, func(h *harness) {
		first := h.idle()
		req := session.StartRequest{WorkGroup: "primary", Tokens: invocation("s1", "h")}
		h.refusedStart(req, "this server has 1 of 1 sessions, and this one needs 1")
		h.must(terminate(h, first))
		s, err := h.m.StartSession(h.ctx, key, req)
		h.must(err)
		again, err := h.m.StartSession(h.ctx, key, req) // the token counts before the limit
		h.must(err)
		if again.ID != s.ID {
			h.Errorf("another session for the same token")
		}
	})
}

func TestCalculationThatRunsTooLongIsStopped(t *testing.T) {
	withHarness(t, session.Config{MaxRunTime: 10 * time.Second}, func(h *harness) {
		sid := h.idle()
		cid := h.submit(sid, "print before\nsleep 1h")
		end := h.awaitCalculation(cid, ergane.CalculationFailed)
		h.calculationIs(cid, ergane.CalculationFailed, "the calculation was stopped because it ran for more than 10s")
		h.delivered(cid, "before\n", "", "")
		h.awaitSession(sid, ergane.SessionIdle)
		if took := end.Status.CompletedAt.Sub(end.Status.SubmittedAt); took < 10*time.Second || took > 11*time.Second {
			h.Errorf("stopped after %v", took)
		}
		h.awaitCalculation(h.submit(sid, "sleep 5s"), ergane.CalculationCompleted)
	})
}

func TestTimeBeforeARestartCounts(t *testing.T) {
	withHarness(t, session.Config{MaxRunTime: 10 * time.Second}, func(h *harness) {
		sid := h.idle()
		cid := h.submit(sid, "sleep 1h")
		time.Sleep(8 * time.Second) // of the bubble
		h.kill()
		h.serve()
		end := h.awaitCalculation(cid, ergane.CalculationFailed)
		if took := end.Status.CompletedAt.Sub(end.Status.SubmittedAt); took < 10*time.Second || took > 12*time.Second {
			h.Errorf("stopped after %v", took)
		}
		h.awaitSession(sid, ergane.SessionIdle)
	})
}

func TestAClockThatWasSetWhileNoServerRanCostsNoTime(t *testing.T) {
	withHarness(t, session.Config{MaxRunTime: 10 * time.Second}, func(h *harness) {
		sid := h.idle()
		cid := h.submit(sid, "sleep 1h")
		time.Sleep(8 * time.Second)
		h.kill()
		time.Sleep(30 * time.Minute) // of the clock, as it was set
		h.machine.Set(faults{Age: 8 * time.Second})
		begun := time.Now()
		h.serve()
		end := h.awaitCalculation(cid, ergane.CalculationFailed)
		if took := end.Status.CompletedAt.Sub(begun); took < 2*time.Second || took > 4*time.Second {
			h.Errorf("stopped %v after the start", took)
		}
	})
}

func TestCalculationOfASessionWhoseFolderGrewTooLargeIsStopped(t *testing.T) {
	withHarness(t, session.Config{MaxDisk: 1000}, func(h *harness) {
		h.machine.Set(faults{DiskUse: 1000})
		sid := h.idle()
		h.awaitCalculation(h.submit(sid, "sleep 1m"), ergane.CalculationCompleted)
		h.machine.Set(faults{DiskUse: 1001})
		cid := h.submit(sid, "sleep 1h")
		h.awaitCalculation(cid, ergane.CalculationFailed)
		h.calculationIs(cid, ergane.CalculationFailed, "the calculation was stopped because the session's folder holds more than 1000 bytes")
		h.awaitSession(sid, ergane.SessionIdle)
	})
}

func TestASessionWhoseFolderGrowsTooLargeWhileItIsIdleIsEnded(t *testing.T) {
	withHarness(t, session.Config{MaxDisk: 1000}, func(h *harness) {
		h.machine.Set(faults{DiskUse: 1000})
		sid := h.idle()
		h.awaitCalculation(h.submit(sid, "print x"), ergane.CalculationCompleted)
		time.Sleep(5 * time.Minute) // of the bubble
		h.sessionIs(sid, ergane.SessionIdle, "")
		h.machine.Set(faults{DiskUse: 1001})
		h.awaitSession(sid, ergane.SessionTerminated)
		h.sessionIs(sid, ergane.SessionTerminated, "Session was terminated because its folder grew to more than 1000 bytes while no calculation ran")
		if n := h.meter.count(session.CountLimits, "disk"); n != 1 {
			h.Errorf("counted %d times", n)
		}
		h.gone(sid)
	})
}

func TestASessionWhoseCalculationWasStoppedForItsDiskMayCleanUpButNotGrow(t *testing.T) {
	withHarness(t, session.Config{MaxDisk: 1000}, func(h *harness) {
		h.machine.Set(faults{DiskUse: 5000})
		sid := h.idle()
		h.awaitCalculation(h.submit(sid, "sleep 1h"), ergane.CalculationFailed)
		time.Sleep(5 * time.Minute)
		h.machine.Set(faults{DiskUse: 5100})
		time.Sleep(5 * time.Minute)
		h.sessionIs(sid, ergane.SessionIdle, "")
		h.kill() // the next server does not know, and measures the folder as it is
		h.serve()
		time.Sleep(5 * time.Minute)
		h.sessionIs(sid, ergane.SessionIdle, "")
		h.machine.Set(faults{DiskUse: 5201})
		h.awaitSession(sid, ergane.SessionTerminated)
		h.sessionIs(sid, ergane.SessionTerminated, "Session was terminated because its folder grew to more than 5200 bytes while no calculation ran")
	})
}

func TestASessionThatDoesNotCleanUpIsEnded(t *testing.T) {
	withHarness(t, session.Config{MaxDisk: 1000}, func(h *harness) {
		h.machine.Set(faults{DiskUse: 5000})
		sid := h.idle()
		h.awaitCalculation(h.submit(sid, "sleep 1h"), ergane.CalculationFailed)
		h.awaitCalculation(h.submit(sid, "print x"), ergane.CalculationCompleted)
		h.awaitSession(sid, ergane.SessionTerminated)
		h.sessionIs(sid, ergane.SessionTerminated, "Session was terminated because its folder grew to more than 1000 bytes while no calculation ran")
	})
}

func TestCalculationThatMakesItsFolderUnmeasurableIsStopped(t *testing.T) {
	withHarness(t, session.Config{MaxDisk: 1000}, func(h *harness) {
		h.machine.Set(faults{Unmeasurable: errors.New("too many open files")})
		sid := h.idle()
		h.awaitCalculation(h.submit(sid, "sleep 1m"), ergane.CalculationCompleted) // which is not its fault
		h.machine.Set(faults{Unmeasurable: fmt.Errorf("%w: why", session.ErrUnmeasurable)})
		cid := h.submit(sid, "sleep 1h")
		h.awaitCalculation(cid, ergane.CalculationFailed)
		h.calculationIs(cid, ergane.CalculationFailed, "the calculation was stopped because the session's folder cannot be measured: there are folders in it that are nested too deep, or that are being moved")
		h.awaitSession(sid, ergane.SessionIdle)
		time.Sleep(9 * time.Minute) // for the next calculation to clean up
		h.sessionIs(sid, ergane.SessionIdle, "")
		h.awaitSession(sid, ergane.SessionTerminated)
	})
}
