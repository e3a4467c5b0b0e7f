package storesuite

import (
	"strings"
	"testing"
	"time"

	"github.com/ergane-dev/ergane"
)

// ended makes a session of a workgroup that ended at the time given.
func (h *harness) ended(workGroup string, end time.Time) ergane.Session {
	h.Helper()
	s := h.creating(workGroup, dawn)
	return h.move(ergane.SessionLost(s.ID, end, "lost"))
}

// expire removes the sessions named, and returns how many calls that took.
func (h *harness) expire(before time.Time, ids ...string) (gone []string, steps int) {
	h.Helper()
	for left := ids; len(left) > 0; steps++ {
		if steps > 100 {
			h.Fatalf("%v are not gone after 100 steps", left)
		}
		some, rest, err := h.Expire(h.ctx, left, before)
		h.must(err)
		gone, left = append(gone, some...), rest
	}
	return gone, steps
}

func (h *harness) expired(workGroup string, before time.Time, p ergane.Page) (ids []string) {
	h.Helper()
	old, err := h.Expired(h.ctx, workGroup, before, p)
	h.must(err)
	for _, s := range old {
		ids = append(ids, s.ID)
	}
	return ids
}

var expiry = map[string]func(*testing.T, *harness){
	"what ended before a time is listed, the first to end first": func(t *testing.T, h *harness) {
		w, other := h.workGroup("w"), h.workGroup("other")
		third, first, second := h.ended(w, after(3*time.Hour)), h.ended(w, after(time.Hour)), h.ended(w, after(2*time.Hour))
		foreign := h.ended(other, after(time.Hour))
		h.creating(w, dawn) // it lives
		everything := ergane.Page{Limit: 100}
		h.same("nothing is that old", len(h.expired(w, after(time.Hour), everything)), 0)
		h.same("one is", h.expired(w, after(time.Hour+time.Millisecond), everything), []string{first.ID})
		h.same("all are", h.expired(w, after(4*time.Hour), everything), []string{first.ID, second.ID, third.ID})
		h.same("another workgroup's", h.expired(other, after(4*time.Hour), everything), []string{foreign.ID})
		p := ergane.Page{Limit: 1, After: ergane.Key{At: first.Status.EndedAt, ID: first.ID}}
		h.same("page by page", h.expired(w, after(4*time.Hour), p), []string{second.ID})
		h.same("of a workgroup that is not there", len(h.expired("none", after(4*time.Hour), everything)), 0)
	},
	"a session is removed with all that belongs to it, and its workgroup stays": func(t *testing.T, h *harness) {
		s := h.idle()
		token := []ergane.Token{{Scope: "s", Value: "v", Hash: "h"}}
		own := []ergane.Token{{Scope: "c", Value: "v", Hash: "h"}}
		made, _, err := h.CreateSession(h.ctx, ergane.Session{ID: newID(), WorkGroup: s.WorkGroup, Status: ergane.SessionStatus{StartedAt: dawn}}, own, ergane.Limits{})
		h.must(err)
		h.move(ergane.SessionReady(made.ID, after(time.Second)))
		c, _, err := h.Submit(h.ctx, block(made.ID, after(time.Second)), token)
		h.must(err)
		h.finish(c, after(2*time.Second))
		h.save(worker(made.ID, ergane.ExecutorRegistered, dawn))
		h.move(ergane.SessionLost(made.ID, after(time.Minute), "lost"))

		// Until then its tokens find it, however long that is.
		again, found, err := h.SessionOf(h.ctx, own, after(1000*time.Hour))
		h.must(err)
		h.same("found by its token", found && again.ID == made.ID, true)

		gone, steps := h.expire(after(time.Hour), made.ID)
		h.same("gone", gone, []string{made.ID})
		h.same("steps", steps, 1)
		_, err = h.Session(h.ctx, made.ID)
		h.fails(err, ergane.CodeNotFound, "Session "+made.ID+" was not found")
		_, err = h.Calculation(h.ctx, c.ID)
		h.fails(err, ergane.CodeNotFound, "Calculation "+c.ID+" was not found")
		_, err = h.CalculationCode(h.ctx, c.ID)
		h.fails(err, ergane.CodeNotFound, "Calculation "+c.ID+" was not found")
		_, err = h.Executors(h.ctx, made.ID, nil, ergane.Page{Limit: 10})
		h.fails(err, ergane.CodeNotFound, "")
		_, found, err = h.SessionOf(h.ctx, own, dawn)
		h.must(err)
		h.same("found by its token afterwards", found, false)
		h.same("the workgroup's other session", h.session(s.ID).Status.State, ergane.SessionIdle)
		_, created, err := h.Submit(h.ctx, block(s.ID, after(time.Minute)), token)
		h.must(err)
		h.same("the token of its calculation is free", created, true)
	},
	"live, too young and unknown sessions are not removed": func(t *testing.T, h *harness) {
		w := h.workGroup("w")
		lives, young := h.creating(w, dawn), h.ended(w, after(time.Hour))
		gone, _ := h.expire(after(time.Hour), lives.ID, young.ID, newID())
		h.same("gone", len(gone), 0)
		h.session(lives.ID)
		h.session(young.ID)
	},
	"a session with a pending delivery stays until that is recorded or discarded": func(t *testing.T, h *harness) {
		delivered, discarded := h.undelivered(), h.undelivered()
		far := after(1000 * time.Hour)
		for _, c := range []ergane.Calculation{delivered, discarded} {
			w := h.session(c.SessionID).WorkGroup
			h.same("expired", len(h.expired(w, far, ergane.Page{Limit: 10})), 0)
			gone, _ := h.expire(far, c.SessionID)
			h.same("gone", len(gone), 0)
			h.calculation(c.ID)
		}
		h.must(h.RecordDelivery(h.ctx, delivered.ID, ergane.CalculationResult{StdOut: "s3://b/o"}))
		h.must(h.DiscardDelivery(h.ctx, discarded.ID, "discarded"))
		gone, _ := h.expire(far, delivered.SessionID, discarded.SessionID)
		h.same("gone", gone, []string{delivered.SessionID, discarded.SessionID})
	},
	"much is removed step by step, and what is left is complete": func(t *testing.T, h *harness) {
		s := h.idle()
		for i := range 450 {
			h.finish(h.submit(s.ID, after(time.Duration(i)*time.Second)), after(time.Duration(i)*time.Second))
		}
		h.move(ergane.SessionLost(s.ID, after(time.Hour), "lost"))
		small := h.ended(s.WorkGroup, after(time.Hour))
		far := after(2 * time.Hour)
		gone, left, err := h.Expire(h.ctx, []string{s.ID, small.ID}, far)
		h.must(err)
		h.same("gone at first", len(gone), 0)
		h.same("left at first", left, []string{s.ID, small.ID})
		rest, err := h.Calculations(h.ctx, s.ID, nil, ergane.Page{Limit: 1000})
		h.must(err)
		if len(rest) == 0 || len(rest) >= 450 {
			h.Errorf("%d of 450 calculations are left after one step", len(rest))
		}
		for _, c := range rest {
			if _, err := h.CalculationCode(h.ctx, c.ID); err != nil {
				h.Errorf("a calculation that is listed has no code: %v", err)
			}
		}
		gone, steps := h.expire(far, left...)
		h.same("gone", gone, []string{s.ID, small.ID})
		if steps < 2 {
			h.Errorf("450 calculations went in %d steps", steps+1)
		}
	},
	"all free space is returned, and nothing else is removed": func(t *testing.T, h *harness) {
		s := h.idle()
		for i := range 30 {
			c := block(s.ID, after(time.Duration(i)*time.Second))
			c.Code = strings.Repeat("x", 60_000)
			_, _, err := h.Submit(h.ctx, c, nil)
			h.must(err)
			h.finish(c, after(time.Duration(i)*time.Second))
		}
		h.move(ergane.SessionLost(s.ID, after(time.Hour), "lost"))
		kept := h.submit(h.idle().ID, after(time.Second))
		h.expire(after(2*time.Hour), s.ID)
		for steps, more := 0, true; more; steps++ {
			var err error
			more, err = h.Reclaim(h.ctx)
			h.must(err)
			if steps > 1000 {
				h.Fatal("there is no end to it")
			}
		}
		code, err := h.CalculationCode(h.ctx, kept.ID)
		h.must(err)
		h.same("code", code, "print(1)")
	},
	"expired tokens are removed with it": func(t *testing.T, h *harness) {
		w := h.workGroup("w")
		brief := []ergane.Token{{Scope: "s", Value: "v", Hash: "1", Until: after(time.Minute)}}
		s, _, err := h.CreateSession(h.ctx, ergane.Session{ID: newID(), WorkGroup: w, Status: ergane.SessionStatus{StartedAt: dawn}}, brief, ergane.Limits{})
		h.must(err)
		_, _, err = h.Expire(h.ctx, nil, after(time.Minute-time.Millisecond))
		h.must(err)
		_, found, err := h.SessionOf(h.ctx, brief, dawn)
		h.must(err)
		h.same("found before its time is up", found, true)
		_, _, err = h.Expire(h.ctx, nil, after(time.Minute))
		h.must(err)
		_, found, err = h.SessionOf(h.ctx, brief, dawn) // by a clock that was set back
		h.must(err)
		h.same("found afterwards", found, false)
		h.session(s.ID)
	},
	"lists are right while sessions are removed": func(t *testing.T, h *harness) {
		w := h.workGroup("w")
		var newest []string // first
		for i := range 12 {
			s := h.creating(w, after(time.Duration(i/2)*time.Millisecond))
			if i != 3 && i != 8 { // these live
				h.move(ergane.SessionLost(s.ID, after(time.Second), "lost"))
			}
		}
		whole, err := h.Sessions(h.ctx, w, nil, ergane.Page{Limit: 100})
		h.must(err)
		for _, s := range whole {
			newest = append(newest, s.ID)
		}
		// Whatever is removed after the first page was read, also the item of its
		// last key: the next page has exactly what is left after that key.
		for at := 1; at < len(whole); at += 4 {
			key := ergane.Key{At: whole[at].Status.StartedAt, ID: whole[at].ID}
			gone, _ := h.expire(after(time.Hour), newest[max(0, at-1):min(at+2, len(newest))]...)
			if len(gone) == 0 {
				h.Error("nothing vanished")
			}
			var want []string
			for _, id := range newest[at+1:] {
				if _, err := h.Session(h.ctx, id); err == nil {
					want = append(want, id)
				}
			}
			for _, states := range [][]ergane.SessionState{nil, {ergane.SessionFailed, ergane.SessionCreating}} {
				var got []string
				p := ergane.Page{Limit: 2, After: key}
				for {
					list, err := h.Sessions(h.ctx, w, states, p)
					h.must(err)
					if len(list) == 0 {
						break
					}
					for _, s := range list {
						got = append(got, s.ID)
					}
					last := list[len(list)-1]
					p.After = ergane.Key{At: last.Status.StartedAt, ID: last.ID}
				}
				h.same("after the page", got, want)
			}
		}
		h.same("those that live", len(h.live(w)), 2)
	},
	"calculations and executors are paged until their session is removed": func(t *testing.T, h *harness) {
		s := h.idle()
		for i := range 4 {
			h.finish(h.submit(s.ID, after(time.Duration(i)*time.Minute)), after(time.Duration(i)*time.Minute))
			h.save(worker(s.ID, ergane.ExecutorRegistered, after(time.Duration(i)*time.Minute)))
		}
		h.move(ergane.SessionLost(s.ID, after(time.Hour), "lost"))
		cs, err := h.Calculations(h.ctx, s.ID, nil, ergane.Page{Limit: 2})
		h.must(err)
		es, err := h.Executors(h.ctx, s.ID, nil, ergane.Page{Limit: 2})
		h.must(err)
		h.same("gone", len(first(h.expire(after(2*time.Hour), s.ID))), 1)
		_, err = h.Calculations(h.ctx, s.ID, nil, ergane.Page{Limit: 2, After: ergane.Key{At: cs[1].Status.SubmittedAt, ID: cs[1].ID}})
		h.fails(err, ergane.CodeNotFound, "Session "+s.ID+" was not found")
		_, err = h.Executors(h.ctx, s.ID, nil, ergane.Page{Limit: 2, After: ergane.Key{At: es[1].StartedAt, ID: es[1].ID}})
		h.fails(err, ergane.CodeNotFound, "Session "+s.ID+" was not found")
	},
}

func first[A, B any](a A, _ B) A { return a }

func (h *harness) live(w string) []ergane.Session {
	h.Helper()
	list, err := h.Sessions(h.ctx, w, ergane.ActiveSessionStates, ergane.Page{Limit: 100})
	h.must(err)
	return list
}

// undelivered makes an ended session of a new workgroup with a calculation
// whose delivery is pending.
func (h *harness) undelivered() ergane.Calculation {
	h.Helper()
	s := h.idle()
	c := h.submit(s.ID, after(time.Second))
	end := ergane.CalculationFails(c.ID, after(2*time.Second), "not stored")
	end.Undelivered = &ergane.Undelivered{Stdout: ergane.Range{End: 3}}
	_, _, moved, err := h.Settle(h.ctx, end, ergane.SessionLost(s.ID, end.At, "lost"))
	h.must(err)
	h.same("settled", moved, true)
	return c
}
