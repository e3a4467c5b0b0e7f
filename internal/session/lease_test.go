package session_test

import (
	"testing"
	"time"

	"github.com/ergane-dev/ergane"
	"github.com/ergane-dev/ergane/internal/session"
)

const newcomer = "019a0000-0000-7000-8000-0000000000fe"

// serveAs starts another server on the same database and machine.
func (h *harness) serveAs(server string) {
	h.Helper()
	h.cfg.Server = server
	h.serve()
}

func (h *harness) ownerIs(sid, want string) {
	h.Helper()
	if got := h.session(sid).Owner; got != want {
		h.Errorf("the session is owned by %q, want %q", got, want)
	}
}

func TestASessionIsItsServersOwnAlsoAfterARestart(t *testing.T) {
	withHarness(t, session.Config{}, func(h *harness) {
		sid := h.idle()
		h.ownerIs(sid, "server 1")
		h.kill()
		h.serve()
		h.settled()
		if !h.m.Owns(sid) {
			h.Error("it was not adopted at once")
		}
		h.ownerIs(sid, "server 1")
	})
}

func TestASessionOfAnotherServerIsLeftAloneWhileItsLeaseLasts(t *testing.T) {
	withHarness(t, session.Config{}, func(h *harness) {
		sid := h.idle()
		h.kill()
		h.serveAs("server 2")
		time.Sleep(time.Minute)
		if h.m.Owns(sid) {
			h.Error("it was adopted")
		}
		h.ownerIs(sid, "server 1")
		h.sessionIs(sid, ergane.SessionIdle, "")
		if !h.machine.Alive(sid) {
			h.Error("its kernel was ended")
		}
	})
}

func TestASessionWhoseOwnersLeaseHasEndedIsTakenOver(t *testing.T) {
	withHarness(t, session.Config{}, func(h *harness) {
		sid := h.idle()
		cid := h.at(sid, "door", "print x")
		h.kill()
		h.serveAs("server 2")
		h.machine.Let("door")
		h.awaitCalculation(cid, ergane.CalculationCompleted)
		h.ran(cid, 1)
		h.delivered(cid, "x\nthrough\n", "", "")
		h.ownerIs(sid, "server 2")

		h.stop()
		h.serveAs("server 1") // it does not get its session back
		h.settled()
		if h.m.Owns(sid) {
			h.Error("both servers have it")
		}
		h.ownerIs(sid, "server 2")
	})
}

func TestALeaseLastsAsLongAsItsServer(t *testing.T) {
	withHarness(t, session.Config{}, func(h *harness) {
		sid := h.idleFor(24 * time.Hour)
		time.Sleep(5 * time.Hour)
		h.store.Fail("RenewLease", 2) // some renewals may fail
		time.Sleep(time.Minute)
		taken, err := h.db.TakeOver(h.ctx, "server 2", time.Now())
		h.must(err)
		if len(taken) > 0 {
			h.Errorf("another server got %v", taken)
		}
		h.ownerIs(sid, "server 1")
	})
}

// In a database of an earlier version, sessions have no owners.
func TestASessionWithoutAnOwnerIsTakenOverAtOnce(t *testing.T) {
	withHarness(t, session.Config{}, func(h *harness) {
		h.kill()
		s, _, err := h.db.CreateSession(h.ctx, ergane.Session{
			ID: newcomer, WorkGroup: ergane.PrimaryWorkGroup, IdleTimeout: time.Hour, Status: ergane.SessionStatus{StartedAt: time.Now()},
		}, nil, ergane.Limits{})
		h.must(err)
		h.ownerIs(s.ID, "")
		h.serve()
		h.awaitSession(s.ID, ergane.SessionIdle)
		h.ownerIs(s.ID, "server 1")
	})
}
