package storesuite

import (
	"slices"
	"testing"
	"time"

	"github.com/ergane-dev/ergane"
)

var executorStates = []ergane.ExecutorState{ergane.ExecutorCreating, ergane.ExecutorCreated, ergane.ExecutorRegistered,
	ergane.ExecutorTerminating, ergane.ExecutorTerminated, ergane.ExecutorFailed}

func worker(session string, state ergane.ExecutorState, started time.Time) ergane.Executor {
	e := ergane.Executor{ID: newID(), SessionID: session, Name: "1", Type: ergane.ExecutorWorker, State: state, Size: 1, StartedAt: started}
	if state.Ended() {
		e.TerminatedAt = started.Add(time.Second)
	}
	return e
}

func (h *harness) save(es ...ergane.Executor) {
	h.Helper()
	h.must(h.SaveExecutors(h.ctx, es))
}

// executor returns the executor of an id, which must be on its session's first page.
func (h *harness) executor(e ergane.Executor) ergane.Executor {
	h.Helper()
	es, err := h.Executors(h.ctx, e.SessionID, nil, ergane.Page{Limit: 100})
	h.must(err)
	i := slices.IndexFunc(es, func(x ergane.Executor) bool { return x.ID == e.ID })
	if i < 0 {
		h.Fatalf("no executor %s", e.ID)
	}
	return es[i]
}

var executors = map[string]func(*testing.T, *harness){
	"executors come back as they were saved": func(t *testing.T, h *harness) {
		s := h.idle()
		driver := ergane.Executor{ID: newID(), SessionID: s.ID, Name: "driver", Type: ergane.ExecutorCoordinator, State: ergane.ExecutorRegistered, Size: 1, StartedAt: after(time.Minute)}
		gone := ergane.Executor{ID: newID(), SessionID: s.ID, Name: "1", Type: ergane.ExecutorWorker, State: ergane.ExecutorTerminated, Size: 4, StartedAt: after(2 * time.Minute), TerminatedAt: after(3 * time.Minute)}
		h.save(driver, gone)
		es, err := h.Executors(h.ctx, s.ID, nil, ergane.Page{Limit: 10})
		h.must(err)
		h.same("executors", es, []ergane.Executor{gone, driver})
		h.save()
	},
	"an executor follows its edges only": func(t *testing.T, h *harness) {
		for _, from := range executorStates {
			for _, to := range executorStates {
				s := h.idle()
				e := worker(s.ID, from, after(time.Minute))
				h.save(e)
				next := worker(s.ID, to, after(time.Hour))
				next.ID, next.Name, next.Size = e.ID, "other", 2
				h.save(next)
				want := e
				if slices.Contains(ergane.Sources(ergane.ExecutorEdges, to), from) || from == to && !from.Ended() {
					want.State, want.Size, want.TerminatedAt = to, 2, next.TerminatedAt
				}
				h.same(string(from)+" → "+string(to), h.executor(e), want)
			}
		}
	},
	"an executor does not start before its session, nor end before its start": func(t *testing.T, h *harness) {
		s := h.idle()
		e := worker(s.ID, ergane.ExecutorTerminated, after(-time.Hour))
		nameless := ergane.Executor{ID: newID(), SessionID: s.ID, State: ergane.ExecutorRegistered}
		h.save(e, nameless)
		h.same("started", h.executor(e).StartedAt, dawn)
		h.same("terminated", h.executor(e).TerminatedAt, dawn)
		h.same("without a start", h.executor(nameless).StartedAt, dawn)
		late := worker(s.ID, ergane.ExecutorRegistered, after(time.Hour))
		h.save(late)
		late.State, late.StartedAt, late.TerminatedAt = ergane.ExecutorTerminated, time.Time{}, after(time.Minute)
		h.save(late)
		h.same("started as first seen", h.executor(late).StartedAt, after(time.Hour))
		h.same("terminated early", h.executor(late).TerminatedAt, after(time.Hour))
	},
	"only an ended executor has an end": func(t *testing.T, h *harness) {
		e := worker(h.idle().ID, ergane.ExecutorRegistered, after(time.Minute))
		e.TerminatedAt = after(time.Hour)
		h.save(e)
		h.same("terminated", h.executor(e).TerminatedAt, time.Time{})
	},
	"ending executors spares those that have ended": func(t *testing.T, h *harness) {
		s, other := h.idle(), h.idle()
		alive, failed := worker(s.ID, ergane.ExecutorRegistered, after(time.Minute)), worker(s.ID, ergane.ExecutorFailed, after(time.Minute))
		late, elsewhere := worker(s.ID, ergane.ExecutorCreating, after(2*time.Hour)), worker(other.ID, ergane.ExecutorRegistered, after(time.Minute))
		h.save(alive, failed, late, elsewhere)
		h.must(h.EndExecutors(h.ctx, s.ID, ergane.ExecutorTerminated, after(time.Hour)))
		h.must(h.EndExecutors(h.ctx, s.ID, ergane.ExecutorFailed, after(3*time.Hour)))
		wantAlive, wantLate := alive, late
		wantAlive.State, wantAlive.TerminatedAt = ergane.ExecutorTerminated, after(time.Hour)
		wantLate.State, wantLate.TerminatedAt = ergane.ExecutorTerminated, after(2*time.Hour)
		h.same("alive", h.executor(alive), wantAlive)
		h.same("failed before", h.executor(failed), failed)
		h.same("started after the end", h.executor(late), wantLate)
		h.same("of another session", h.executor(elsewhere), elsewhere)
		h.fails(h.EndExecutors(h.ctx, s.ID, ergane.ExecutorRegistered, after(time.Hour)), ergane.CodeInternal, "")
	},
	"an ended session has no live executor": func(t *testing.T, h *harness) {
		for _, end := range []struct {
			moves func(id string) []ergane.SessionMove
			want  ergane.ExecutorState
		}{
			{func(id string) []ergane.SessionMove {
				return []ergane.SessionMove{ergane.SessionStopping(id, after(time.Hour), "x"), ergane.SessionStopped(id, after(2*time.Hour))}
			}, ergane.ExecutorTerminated},
			{func(id string) []ergane.SessionMove {
				return []ergane.SessionMove{ergane.SessionLost(id, after(2*time.Hour), "x")}
			}, ergane.ExecutorFailed},
		} {
			s := h.idle()
			e := worker(s.ID, ergane.ExecutorRegistered, after(time.Minute))
			h.save(e)
			for _, m := range end.moves(s.ID) {
				h.move(m)
				if now := e; m.To == ergane.SessionTerminating {
					now.State = ergane.ExecutorTerminating
					h.same("while the session is terminating", h.executor(e), now)
				}
			}
			want := e
			want.State, want.TerminatedAt = end.want, after(2*time.Hour)
			h.same("executor", h.executor(e), want)

			// An observation made before the end may arrive after it.
			stray := worker(s.ID, ergane.ExecutorRegistered, after(time.Minute))
			h.save(e, stray)
			h.same("executor, saved again", h.executor(e), want)
			stray.State, stray.TerminatedAt = ergane.ExecutorTerminated, after(2*time.Hour)
			h.same("stray", h.executor(stray), stray)
			late := worker(s.ID, ergane.ExecutorFailed, after(3*time.Hour))
			h.save(late)
			h.same("started after the end", h.executor(late).StartedAt, after(2*time.Hour))
			h.same("ended after the end", h.executor(late).TerminatedAt, after(2*time.Hour))
		}
	},
	"executors terminate with their session": func(t *testing.T, h *harness) {
		s, other := h.idle(), h.idle()
		var all []ergane.Executor
		for _, state := range executorStates {
			all = append(all, worker(s.ID, state, after(time.Minute)))
		}
		elsewhere := worker(other.ID, ergane.ExecutorRegistered, after(time.Minute))
		h.save(append(all, elsewhere)...)
		h.move(ergane.SessionStopping(s.ID, after(time.Hour), "x"))
		for _, e := range all {
			want := e
			if !e.State.Ended() {
				want.State = ergane.ExecutorTerminating
			}
			h.same(string(e.State), h.executor(e), want)
			h.save(e) // an observation made before
			h.same(string(e.State)+", saved again", h.executor(e), want)
		}
		h.same("of another session", h.executor(elsewhere), elsewhere)
		fresh := worker(s.ID, ergane.ExecutorRegistered, after(time.Minute))
		h.save(fresh)
		fresh.State = ergane.ExecutorTerminating
		h.same("seen first now", h.executor(fresh), fresh)
		h.move(ergane.SessionStopped(s.ID, after(2*time.Hour)))
		h.same("at the end", h.executor(fresh).State, ergane.ExecutorTerminated)
	},
}
