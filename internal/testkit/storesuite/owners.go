package storesuite

import (
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ergane-dev/ergane"
)

// ownedBy makes a session of a server.
func (h *harness) ownedBy(server, workGroup string, since time.Time) ergane.Session {
	h.Helper()
	return h.creatingAs(ergane.Session{ID: newID(), WorkGroup: workGroup, Owner: server, Status: ergane.SessionStatus{StartedAt: since}})
}

// owns checks the ids of an owner's live sessions.
func (h *harness) owns(owner string, want ...string) {
	h.Helper()
	live, err := h.LiveSessions(h.ctx, owner)
	h.must(err)
	h.same("live sessions of "+owner, ids(live), want)
}

// takeOver checks the ids of the sessions that a server gets at a time, and
// ends the test if they are others.
func (h *harness) takeOver(server string, at time.Time, want ...string) []ergane.Session {
	h.Helper()
	taken, err := h.TakeOver(h.ctx, server, at)
	h.must(err)
	h.same("sessions that "+server+" took over", ids(taken), want)
	if h.Failed() {
		h.FailNow()
	}
	return taken
}

func ids(all []ergane.Session) (ids []string) {
	for _, s := range all {
		ids = append(ids, s.ID)
	}
	return ids
}

var owners = map[string]func(*testing.T, *harness){
	"a server has the sessions that were created as its own": func(t *testing.T, h *harness) {
		w := h.workGroup("primary")
		young := h.ownedBy("a", w, after(time.Minute))
		old := h.ownedBy("a", w, dawn)
		other := h.ownedBy("b", w, dawn)
		h.same("owner", young.Owner, "a")
		h.owns("a", old.ID, young.ID)
		h.owns("b", other.ID)
		h.owns("c")
		h.owns("")
	},
	"a move leaves the owner as it is": func(t *testing.T, h *harness) {
		s := h.ownedBy("a", h.workGroup("primary"), dawn)
		h.same("owner", h.move(ergane.SessionReady(s.ID, dawn)).Owner, "a")
		c := h.submit(s.ID, dawn)
		h.finish(c, after(time.Second))
		h.same("owner", h.session(s.ID).Owner, "a")
	},
	"a session is taken over when its owner's lease has ended, not before": func(t *testing.T, h *harness) {
		w := h.workGroup("primary")
		young, old := h.ownedBy("a", w, after(time.Second)), h.ownedBy("a", w, dawn)
		h.must(h.RenewLease(h.ctx, "a", after(time.Minute)))
		h.takeOver("b", after(time.Minute-time.Millisecond))
		h.owns("a", old.ID, young.ID)

		taken := h.takeOver("b", after(time.Minute), old.ID, young.ID)
		h.same("owner", taken[0].Owner, "b")
		h.same("session", taken[0], h.session(old.ID))
		h.owns("a")
		h.owns("b", old.ID, young.ID)
	},
	"a lease that is renewed goes on": func(t *testing.T, h *harness) {
		s := h.ownedBy("a", h.workGroup("primary"), dawn)
		h.must(h.RenewLease(h.ctx, "a", after(time.Minute)))
		h.must(h.RenewLease(h.ctx, "a", after(2*time.Minute)))
		h.takeOver("b", after(time.Minute))
		h.owns("a", s.ID)
		h.must(h.RenewLease(h.ctx, "a", after(time.Second))) // also to an earlier time, after a clock that was ahead
		h.takeOver("b", after(time.Second), s.ID)
	},
	"the lease of one server does not change another's": func(t *testing.T, h *harness) {
		w := h.workGroup("primary")
		s, kept := h.ownedBy("a", w, dawn), h.ownedBy("b", w, dawn)
		h.must(h.RenewLease(h.ctx, "a", after(time.Minute)))
		h.must(h.RenewLease(h.ctx, "b", after(time.Hour)))
		h.takeOver("c", after(2*time.Minute), s.ID)
		h.owns("b", kept.ID)
	},
	"sessions without an owner, or of one without a lease, are taken over at once": func(t *testing.T, h *harness) {
		w := h.workGroup("primary")
		nobodys := h.creating(w, dawn)
		h.same("owner", nobodys.Owner, "")
		h.owns("", nobodys.ID)
		lost := h.ownedBy("a", w, after(time.Second))
		h.takeOver("b", dawn, nobodys.ID, lost.ID)
		h.owns("")
	},
	"a server does not take over its own sessions, or ended ones": func(t *testing.T, h *harness) {
		w := h.workGroup("primary")
		own := h.ownedBy("b", w, dawn)
		ended, lost, stopping := h.ownedBy("a", w, dawn), h.ownedBy("a", w, dawn), h.ownedBy("a", w, dawn)
		h.move(ergane.SessionStopping(ended.ID, dawn, ""))
		h.move(ergane.SessionStopped(ended.ID, dawn))
		h.move(ergane.SessionLost(lost.ID, dawn, "lost"))
		h.move(ergane.SessionStopping(stopping.ID, dawn, "asked"))
		taken := h.takeOver("b", after(time.Hour), stopping.ID)
		h.same("state", taken[0].Status.State, ergane.SessionTerminating)
		h.same("owner of an ended one", h.session(ended.ID).Owner, "a")
		h.owns("b", own.ID, stopping.ID)
	},
	"of many servers that take over at once one gets a session": func(t *testing.T, h *harness) {
		w := h.workGroup("primary")
		for range 10 {
			s := h.ownedBy("dead", w, dawn)
			var got atomic.Int32
			h.atOnce(8, func(i int) error {
				server := fmt.Sprint("server ", i)
				if err := h.RenewLease(h.ctx, server, after(time.Hour)); err != nil {
					return err
				}
				taken, err := h.TakeOver(h.ctx, server, after(time.Minute))
				got.Add(int32(len(taken)))
				if len(taken) == 1 && (taken[0].ID != s.ID || taken[0].Owner != server) {
					return fmt.Errorf("%s got %+v", server, taken[0])
				}
				return err
			})
			h.same("servers that got it", got.Load(), int32(1))
		}
	},
}
