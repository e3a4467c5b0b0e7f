package storesuite

import (
	"slices"
	"testing"
	"time"

	"github.com/ergane-dev/ergane"
)

// pathsTo are the moves that bring a new session into each state.
var pathsTo = map[ergane.SessionState]func(id string, at time.Time) []ergane.SessionMove{
	ergane.SessionCreating: func(string, time.Time) []ergane.SessionMove { return nil },
	ergane.SessionIdle: func(id string, at time.Time) []ergane.SessionMove {
		return []ergane.SessionMove{ergane.SessionReady(id, at)}
	},
	ergane.SessionBusy: func(id string, at time.Time) []ergane.SessionMove {
		return []ergane.SessionMove{ergane.SessionReady(id, at), ergane.SessionTaken(id, at)}
	},
	ergane.SessionDegraded: func(id string, at time.Time) []ergane.SessionMove {
		return []ergane.SessionMove{ergane.SessionReady(id, at), ergane.SessionDegrades(id, at, "the driver died")}
	},
	ergane.SessionTerminating: func(id string, at time.Time) []ergane.SessionMove {
		return []ergane.SessionMove{ergane.SessionStopping(id, at, "asked")}
	},
	ergane.SessionTerminated: func(id string, at time.Time) []ergane.SessionMove {
		return []ergane.SessionMove{ergane.SessionStopping(id, at, "asked"), ergane.SessionStopped(id, at)}
	},
	ergane.SessionFailed: func(id string, at time.Time) []ergane.SessionMove {
		return []ergane.SessionMove{ergane.SessionLost(id, at, "lost")}
	},
}

// everyMove is one of each constructor's.
func everyMove(id string, at time.Time) []ergane.SessionMove {
	return []ergane.SessionMove{ergane.SessionReady(id, at), ergane.SessionTaken(id, at), ergane.SessionFreed(id, at),
		ergane.SessionStopping(id, at, "stopping"), ergane.SessionExpires(id, at, "unused"), ergane.SessionStopped(id, at), ergane.SessionLost(id, at, "lost"), ergane.SessionDegrades(id, at, "degrades")}
}

var sessionMoves = map[string]func(*testing.T, *harness){
	"a session moves from a move's source states only": func(t *testing.T, h *harness) {
		w := h.workGroup("primary")
		for state, path := range pathsTo {
			for i := range everyMove("", dawn) {
				s := h.creating(w, dawn)
				for _, m := range path(s.ID, after(time.Second)) {
					s = h.move(m)
				}
				h.same("state", s.Status.State, state)
				m := everyMove(s.ID, after(time.Minute))[i]
				got, moved, err := h.MoveSession(h.ctx, m)
				h.must(err)
				if want := slices.Contains(m.From, state); moved != want {
					h.Errorf("%s → %s: moved is %v, want %v", state, m.To, moved, want)
				}
				want := s
				if moved {
					want.Status.State = m.To
					h.same("answer's state", got.Status.State, m.To)
				} else {
					h.same("answer of a lost move", got, s)
				}
				h.same("session afterwards", h.session(s.ID), got)
			}
		}
	},
	"a session's times are those of its moves": func(t *testing.T, h *harness) {
		s := h.creating(h.workGroup("primary"), dawn)
		for _, step := range []struct {
			move ergane.SessionMove
			want ergane.SessionStatus
		}{
			{ergane.SessionReady(s.ID, after(1)), ergane.SessionStatus{State: ergane.SessionIdle, ModifiedAt: dawn, IdleSince: dawn}},
			{ergane.SessionTaken(s.ID, after(2*time.Second)), ergane.SessionStatus{State: ergane.SessionBusy, ModifiedAt: after(2 * time.Second)}},
			{ergane.SessionFreed(s.ID, after(3*time.Second)), ergane.SessionStatus{State: ergane.SessionIdle, ModifiedAt: after(3 * time.Second), IdleSince: after(3 * time.Second)}},
			{ergane.SessionDegrades(s.ID, after(4*time.Second), "driver"), ergane.SessionStatus{State: ergane.SessionDegraded, Reason: "driver", ModifiedAt: after(4 * time.Second)}},
			{ergane.SessionStopping(s.ID, after(5*time.Second), "asked"), ergane.SessionStatus{State: ergane.SessionTerminating, Reason: "asked", ModifiedAt: after(5 * time.Second)}},
			{ergane.SessionStopped(s.ID, after(6*time.Second)), ergane.SessionStatus{State: ergane.SessionTerminated, Reason: "asked", ModifiedAt: after(6 * time.Second), EndedAt: after(6 * time.Second)}},
		} {
			step.want.StartedAt = dawn
			h.same("status", h.move(step.move).Status, step.want)
		}
		lost := h.creating("primary", dawn)
		h.same("status of a lost session", h.move(ergane.SessionLost(lost.ID, after(time.Second), "no kernel")).Status,
			ergane.SessionStatus{State: ergane.SessionFailed, Reason: "no kernel", StartedAt: dawn, ModifiedAt: after(time.Second), EndedAt: after(time.Second)})
	},
	"a session's times never run backwards": func(t *testing.T, h *harness) {
		s := h.creating(h.workGroup("primary"), dawn)
		early := after(-time.Hour)
		s = h.move(ergane.SessionReady(s.ID, early))
		h.same("ready", s.Status, ergane.SessionStatus{State: ergane.SessionIdle, StartedAt: dawn, ModifiedAt: dawn, IdleSince: dawn})
		h.move(ergane.SessionTaken(s.ID, after(time.Minute)))
		s = h.move(ergane.SessionFreed(s.ID, early))
		h.same("freed", s.Status, ergane.SessionStatus{State: ergane.SessionIdle, StartedAt: dawn, ModifiedAt: after(time.Minute), IdleSince: after(time.Minute)})
		h.move(ergane.SessionStopping(s.ID, early, "asked"))
		s = h.move(ergane.SessionStopped(s.ID, early))
		h.same("ended", s.Status.EndedAt, after(time.Minute))
	},
	"a session's reason is that of its state": func(t *testing.T, h *harness) {
		s := h.idle()
		h.move(ergane.SessionStopping(s.ID, dawn, "idle for 20 minutes"))
		_, moved, err := h.MoveSession(h.ctx, ergane.SessionStopping(s.ID, dawn, "too late"))
		h.must(err)
		h.same("moved", moved, false)
		h.same("kept", h.move(ergane.SessionStopped(s.ID, dawn)).Status.Reason, "idle for 20 minutes")

		// No constructor leads from a state with a reason to IDLE or BUSY, but
		// a store must not rely on that.
		s = h.idle()
		h.move(ergane.SessionMove{ID: s.ID, From: []ergane.SessionState{ergane.SessionIdle}, To: ergane.SessionIdle, Reason: "odd", At: dawn})
		h.same("cleared", h.move(ergane.SessionTaken(s.ID, dawn)).Status.Reason, "")
	},
}
