package session_test

import (
	"sync"
	"testing"
	"time"

	"github.com/ergane-dev/ergane"
	"github.com/ergane-dev/ergane/internal/session"
)

const terminated = "Session was terminated per request"

func terminate(h *harness, sid string) error {
	_, err := h.m.TerminateSession(h.ctx, sid)
	return err
}

// gone checks that nothing is left of an ended session except its logs.
func (h *harness) gone(sid string) {
	h.Helper()
	h.settled()
	if h.machine.Alive(sid) {
		h.Error("the kernel lives")
	}
	if files, _ := h.machine.Has(sid); files {
		h.Error("the kernel's files are still there")
	}
	if n := h.m.Live(); n != 0 {
		h.Errorf("%d sessions are counted as live", n)
	}
	if k, s, _ := h.machine.Open(); k != 0 || s != 0 {
		h.Errorf("%d kernels and %d spools are still held", k, s)
	}
}

// ends terminates a session, and checks the answer and how long the end takes.
func (h *harness) ends(sid string, within time.Duration) {
	h.Helper()
	begun := time.Now()
	state, err := h.m.TerminateSession(h.ctx, sid)
	if err != nil || state != ergane.SessionTerminating {
		h.Fatalf("answer %s, %v", state, err)
	}
	h.awaitSession(sid, ergane.SessionTerminated)
	if took := time.Since(begun); took > within {
		h.Errorf("took %v", took)
	}
	h.sessionIs(sid, ergane.SessionTerminated, terminated)
	h.gone(sid)
}

func TestTerminateEndsASessionThatWaitsForItsKernel(t *testing.T) {
	withHarness(t, session.Config{}, func(h *harness) {
		h.machine.Set(faults{StartTakes: time.Hour})
		sid := h.begin()
		h.ends(sid, time.Second)
		if h.machine.Started() != 0 {
			h.Error("a kernel was started")
		}
	})
}

func TestTerminateEndsASessionThatWaitsForItsTurnToStart(t *testing.T) {
	withHarness(t, session.Config{Starts: 1}, func(h *harness) {
		h.machine.Set(faults{StartTakes: time.Hour})
		first := h.begin()
		time.Sleep(time.Second)
		second := h.begin()
		h.must(terminate(h, second))
		time.Sleep(time.Second)
		h.sessionIs(second, ergane.SessionTerminated, terminated)
		h.sessionIs(first, ergane.SessionCreating, "")
	})
}

func TestTerminateEndsASessionWhoseKernelIsNotReady(t *testing.T) {
	withHarness(t, session.Config{}, func(h *harness) {
		h.machine.Set(faults{ReadyTakes: time.Hour})
		sid := h.begin()
		time.Sleep(time.Second)
		h.ends(sid, time.Second)
	})
}

func TestTerminateEndsAnIdleSession(t *testing.T) {
	withHarness(t, session.Config{}, func(h *harness) {
		h.ends(h.idle(), time.Second)
	})
}

func TestTerminateCancelsTheRunningCalculation(t *testing.T) {
	withHarness(t, session.Config{}, func(h *harness) {
		sid := h.idle()
		cid := h.at(sid, "gate", "print kept")
		h.ends(sid, time.Second)
		h.calculationIs(cid, ergane.CalculationCanceled, "The calculation was canceled because its session was terminated")
		h.delivered(cid, "kept\n", "", "")
	})
}

func TestTerminateKillsWhatCannotBeInterrupted(t *testing.T) {
	withHarness(t, session.Config{}, func(h *harness) {
		sid := h.idle()
		cid := h.submit(sid, "print kept\nhang")
		time.Sleep(time.Second)
		h.ends(sid, 6*time.Second)
		h.calculationIs(cid, ergane.CalculationCanceled, "The calculation was canceled because its session was terminated"+
			" (the code did not react to the interrupt, so the session's kernel was killed)")
		h.delivered(cid, "kept\n", "", "")
	})
}

func TestTerminateShortensTheGraceOfAStop(t *testing.T) {
	withHarness(t, session.Config{}, func(h *harness) {
		sid := h.idle()
		cid := h.submit(sid, "hang")
		time.Sleep(time.Second)
		h.stopCalculation(cid)
		time.Sleep(time.Second)
		h.ends(sid, 6*time.Second)
	})
}

// Repeated calls must not make it take longer.
func TestRepeatedTerminateDoesNotProlongTheGrace(t *testing.T) {
	withHarness(t, session.Config{}, func(h *harness) {
		sid := h.idle()
		h.submit(sid, "hang")
		time.Sleep(time.Second)
		begun := time.Now()
		for !h.session(sid).Status.State.Ended() {
			h.must(terminate(h, sid))
			time.Sleep(time.Second)
		}
		if took := time.Since(begun); took > 7*time.Second {
			h.Errorf("took %v", took)
		}
	})
}

func TestTerminateEndsADegradedSession(t *testing.T) {
	withHarness(t, session.Config{}, func(h *harness) {
		sid := h.idle()
		h.machine.KillDriver(sid)
		h.awaitSession(sid, ergane.SessionDegraded)
		h.ends(sid, time.Second)
	})
}

func TestTerminateOfAnEndedSessionChangesNothing(t *testing.T) {
	withHarness(t, session.Config{}, func(h *harness) {
		sid := h.idle()
		h.ends(sid, time.Second)
		before := h.session(sid)
		state, err := h.m.TerminateSession(h.ctx, sid)
		if after := h.session(sid); err != nil || state != ergane.SessionTerminated || after.Status != before.Status {
			h.Errorf("answer %s, %v; before %+v, after %+v", state, err, before.Status, after.Status)
		}

		failed := h.idle()
		h.machine.Kill(failed, ergane.Exit{Known: true, Code: 1})
		before = h.awaitSession(failed, ergane.SessionFailed)
		state, err = h.m.TerminateSession(h.ctx, failed)
		if after := h.session(failed); err != nil || state != ergane.SessionFailed || after.Status != before.Status {
			h.Errorf("answer %s, %v; before %+v, after %+v", state, err, before.Status, after.Status)
		}
	})
}

func TestTwentyTerminatesAtOnceAreAllAnswered(t *testing.T) {
	withHarness(t, session.Config{}, func(h *harness) {
		sid := h.idle()
		cid := h.at(sid, "gate", "")
		var callers sync.WaitGroup
		for range 20 {
			callers.Go(func() {
				state, err := h.m.TerminateSession(h.ctx, sid)
				if err != nil || state != ergane.SessionTerminating && state != ergane.SessionTerminated {
					h.Errorf("answer %s, %v", state, err)
				}
			})
		}
		callers.Wait()
		h.awaitSession(sid, ergane.SessionTerminated)
		h.awaitCalculation(cid, ergane.CalculationCanceled)
		h.gone(sid)
	})
}

func TestTerminateWinsAgainstTheEndOfACalculation(t *testing.T) {
	withHarness(t, session.Config{}, func(h *harness) {
		sid := h.idle()
		cid := h.at(sid, "gate", "")
		release := h.bucket.Hang()
		h.machine.Let("gate")
		h.settled() // the code has ended, its objects are being delivered
		h.must(terminate(h, sid))
		h.settled()
		release()
		h.awaitSession(sid, ergane.SessionTerminated)
		h.calculationIs(cid, ergane.CalculationCompleted, "")
		h.delivered(cid, "\nthrough\n"[1:], "", "")
	})
}

func TestKernelDeathDuringTerminationStillEndsTerminated(t *testing.T) {
	withHarness(t, session.Config{}, func(h *harness) {
		sid := h.idle()
		cid := h.submit(sid, "hang")
		time.Sleep(time.Second)
		h.must(terminate(h, sid))
		h.settled()
		h.machine.Kill(sid, ergane.Exit{Known: true, Signal: 9})
		h.awaitSession(sid, ergane.SessionTerminated)
		h.sessionIs(sid, ergane.SessionTerminated, terminated)
		h.awaitCalculation(cid, ergane.CalculationCanceled)
	})
}
