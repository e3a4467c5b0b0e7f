package storesuite

import (
	"cmp"
	"slices"
	"testing"
	"time"

	"github.com/ergane-dev/ergane"
)

// A shelf is a list under test: the ids and keys of its items.
type shelf struct {
	list func(states []string, p ergane.Page) ([]ergane.Key, []string, error) // keys and states
	add  func(i int, at time.Time) string                                     // makes the i-th thing
}

var paging = map[string]func(*testing.T, *harness){
	"sessions are paged newest first": func(t *testing.T, h *harness) {
		w := h.workGroup("primary")
		h.creating(h.workGroup("other"), dawn)
		h.pages(shelf{
			add: func(i int, at time.Time) string {
				s := h.creating(w, at)
				if i%3 == 1 {
					h.move(ergane.SessionReady(s.ID, at))
				} else if i%3 == 2 {
					h.move(ergane.SessionLost(s.ID, at, "lost"))
				}
				return s.ID
			},
			list: func(states []string, p ergane.Page) (keys []ergane.Key, of []string, err error) {
				got, err := h.Sessions(h.ctx, w, typed[ergane.SessionState](states), p)
				for _, s := range got {
					keys, of = append(keys, ergane.Key{At: s.Status.StartedAt, ID: s.ID}), append(of, string(s.Status.State))
				}
				return keys, of, err
			},
		}, "IDLE", "FAILED", "CREATED")
	},
	"calculations are paged newest first": func(t *testing.T, h *harness) {
		s, other := h.idle(), h.idle()
		h.submit(other.ID, dawn)
		h.pages(shelf{
			add: func(i int, at time.Time) string {
				c := h.submit(s.ID, at)
				if i%3 == 1 {
					h.moveC(ergane.CalculationStarts(c.ID, at))
				} else if i%3 == 2 {
					h.moveC(ergane.CalculationFails(c.ID, at, ""))
				}
				h.move(ergane.SessionFreed(s.ID, at))
				return c.ID
			},
			list: func(states []string, p ergane.Page) (keys []ergane.Key, of []string, err error) {
				got, err := h.Calculations(h.ctx, s.ID, typed[ergane.CalculationState](states), p)
				for _, c := range got {
					keys, of = append(keys, ergane.Key{At: c.Status.SubmittedAt, ID: c.ID}), append(of, string(c.Status.State))
				}
				return keys, of, err
			},
		}, "RUNNING", "FAILED", "QUEUED")
	},
	"executors are paged newest first": func(t *testing.T, h *harness) {
		s, other := h.idle(), h.idle()
		h.must(h.SaveExecutors(h.ctx, []ergane.Executor{{ID: newID(), SessionID: other.ID, State: ergane.ExecutorCreated, StartedAt: after(time.Hour)}}))
		h.pages(shelf{
			add: func(i int, at time.Time) string {
				e := ergane.Executor{ID: newID(), SessionID: s.ID, Name: "1", Type: ergane.ExecutorWorker, StartedAt: at,
					State: []ergane.ExecutorState{ergane.ExecutorCreated, ergane.ExecutorRegistered, ergane.ExecutorFailed}[i%3]}
				h.must(h.SaveExecutors(h.ctx, []ergane.Executor{e}))
				return e.ID
			},
			list: func(states []string, p ergane.Page) (keys []ergane.Key, of []string, err error) {
				got, err := h.Executors(h.ctx, s.ID, typed[ergane.ExecutorState](states), p)
				for _, e := range got {
					keys, of = append(keys, ergane.Key{At: e.StartedAt, ID: e.ID}), append(of, string(e.State))
				}
				return keys, of, err
			},
		}, "REGISTERED", "FAILED", "TERMINATING")
	},
}

func typed[S ~string](states []string) (out []S) {
	for _, s := range states {
		out = append(out, S(s))
	}
	return out
}

// pages fills a list with 25 things, several in each millisecond, and reads
// it in pages of several sizes, with and without the filter.
func (h *harness) pages(s shelf, filter ...string) {
	h.Helper()
	empty, _, err := s.list(nil, ergane.Page{Limit: 10})
	h.must(err)
	h.same("in an empty list", len(empty), 0)
	for i := range 25 {
		s.add(i, after(time.Minute+time.Duration(i/4)*time.Millisecond))
	}
	whole, states, err := s.list(nil, ergane.Page{Limit: 1000})
	h.must(err)
	h.same("things", len(whole), 25)
	if !slices.IsSortedFunc(whole, newestFirst) {
		h.Errorf("the list is not in order: %v", whole)
	}
	var some []ergane.Key
	for i, k := range whole {
		if slices.Contains(filter, states[i]) {
			some = append(some, k)
		}
	}
	for _, size := range []int{1, 3, 4, 25, 26} {
		h.same("pages", h.readAll(s, nil, size), whole)
		h.same("pages with a filter", h.readAll(s, filter, size), some)
	}
	h.same("a state named twice", h.readAll(s, append(filter, filter...), 3), some)

	// Items that are created while a client pages do not change its next pages.
	head, _, err := s.list(nil, ergane.Page{Limit: 10})
	h.must(err)
	s.add(25, after(time.Hour))
	tail, _, err := s.list(nil, ergane.Page{Limit: 100, After: head[9]})
	h.must(err)
	h.same("the rest", tail, whole[10:])
}

// readAll reads a whole list page by page.
func (h *harness) readAll(s shelf, states []string, size int) (all []ergane.Key) {
	h.Helper()
	p := ergane.Page{Limit: size}
	for {
		keys, _, err := s.list(states, p)
		h.must(err)
		if len(keys) > size {
			h.Fatalf("%d things on a page of %d", len(keys), size)
		}
		if len(keys) == 0 {
			return all
		}
		all = append(all, keys...)
		if len(all) > 1000 {
			h.Fatal("the list has no end")
		}
		p.After = keys[len(keys)-1]
	}
}

func newestFirst(a, b ergane.Key) int {
	return cmp.Or(b.At.Compare(a.At), cmp.Compare(b.ID, a.ID))
}
