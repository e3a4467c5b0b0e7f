package session_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/ergane-dev/ergane"
	"github.com/ergane-dev/ergane/internal/session"
	"github.com/ergane-dev/ergane/internal/testkit/fakehost"
)

const orphan = "019a0000-0000-7000-8000-0000000000ff"

func TestKernelOfNoSessionIsEndedAndForgotten(t *testing.T) {
	withHarness(t, session.Config{}, func(h *harness) {
		h.stop()
		h.machine.Orphan(orphan)
		h.serve()
		h.settled()
		if h.machine.Alive(orphan) {
			h.Error("it lives")
		}
		if files, logs := h.machine.Has(orphan); files || logs {
			h.Errorf("files %t, logs %t", files, logs)
		}
	})
}

func TestKernelOfASessionThatHasEndedIsEnded(t *testing.T) {
	withHarness(t, session.Config{}, func(h *harness) {
		sid := h.idle()
		h.kill()
		h.movedSession(ergane.SessionLost(sid, time.Now(), "lost"))
		h.serve()
		h.settled()
		if h.machine.Alive(sid) {
			h.Error("it lives")
		}
		if files, logs := h.machine.Has(sid); files || !logs {
			h.Errorf("files %t, logs %t", files, logs)
		}
	})
}

func TestLogsOfAnEndedSessionStayForTheirTime(t *testing.T) {
	withHarness(t, session.Config{LogsFor: 48 * time.Hour}, func(h *harness) {
		sid := h.idle()
		h.ends(sid, time.Second)
		time.Sleep(47 * time.Hour)
		if _, logs := h.machine.Has(sid); !logs {
			h.Error("the logs are gone too early")
		}
		time.Sleep(3 * time.Hour)
		if _, logs := h.machine.Has(sid); logs {
			h.Error("the logs are still there")
		}
	})
}

func TestReaperLeavesLiveSessionsAlone(t *testing.T) {
	withHarness(t, session.Config{}, func(h *harness) {
		sid := h.idleFor(24 * time.Hour)
		h.stop()
		h.serve()
		time.Sleep(5 * time.Hour)
		h.sessionIs(sid, ergane.SessionIdle, "")
		h.awaitCalculation(h.submit(sid, "print x"), ergane.CalculationCompleted)
	})
}

// A store that does not answer is no proof that a kernel has no session.
func TestReaperEndsNothingWhileItCannotReadTheStore(t *testing.T) {
	withHarness(t, session.Config{}, func(h *harness) {
		sid := h.idle()
		h.ends(sid, time.Second)
		h.stop()
		h.machine.Orphan(sid)
		h.build()
		h.store.Fail("Session", 1<<30)
		h.must(h.m.Start(h.ctx))
		time.Sleep(2 * time.Hour)
		if !h.machine.Alive(sid) {
			h.Error("the kernel was ended")
		}
		h.store.Fail("Session", 0)
		time.Sleep(2 * time.Hour)
		if h.machine.Alive(sid) {
			h.Error("the kernel lives")
		}
	})
}

// If a kernel cannot be adopted and cannot be ended either, its session has
// failed. The reaper ends the kernel as soon as it can.
func TestKernelThatWasGivenUpIsEndedOnceItIsFound(t *testing.T) {
	withHarness(t, session.Config{}, func(h *harness) {
		sid := h.idle()
		h.kill()
		h.machine.Set(faults{Adopt: session.ErrLost, Expel: errors.New("too many open files")})
		h.serve()
		h.awaitSession(sid, ergane.SessionFailed)
		time.Sleep(2 * time.Hour)
		if files, _ := h.machine.Has(sid); !files || !h.machine.Alive(sid) {
			h.Errorf("alive %t, files %t", h.machine.Alive(sid), files)
		}
		h.machine.Set(faults{Adopt: errors.New("too many open files")})
		time.Sleep(time.Hour)
		h.gone(sid)
	})
}

// logs are the sessions of which there are logs.
func (h *harness) logs(sids ...string) (there []string) {
	for _, sid := range sids {
		if _, logs := h.machine.Has(sid); logs {
			there = append(there, sid)
		}
	}
	return there
}

func TestTheTotalSizeOfTheLogsOfEndedSessionsIsBounded(t *testing.T) {
	withHarness(t, session.Config{MaxLogs: 2 * fakehost.LogSize}, func(h *harness) {
		h.machine.Set(faults{Logs: []string{"all"}})
		back := h.unreachable()
		pending := h.logged() // and S3 does not take it
		h.must(terminate(h, pending))
		h.awaitSession(pending, ergane.SessionTerminated)
		var sids []string
		for range 3 {
			sids = append(sids, h.idle())
			h.must(terminate(h, sids[len(sids)-1]))
			h.awaitSession(sids[len(sids)-1], ergane.SessionTerminated)
			time.Sleep(time.Minute)
		}
		lives := h.idleFor(24 * time.Hour)
		time.Sleep(2 * time.Hour)
		if got := h.logs(append(sids, pending, lives)...); !slices.Equal(got, []string{sids[2], pending, lives}) {
			t.Errorf("there are logs of %v; pending %s, ended %v, live %s", got, pending, sids, lives)
		}
		for _, sid := range sids {
			h.sessionIs(sid, ergane.SessionTerminated, terminated) // their rows stay
		}
		back()
		h.awaitLog(pending)
	})
}
