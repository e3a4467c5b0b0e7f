package storesuite

import (
	"testing"
	"time"

	"github.com/ergane-dev/ergane"
)

func token(value, hash string) ergane.Token {
	return ergane.Token{Scope: "root/Start", Value: value, Hash: hash}
}

func sessionAt(w string, at time.Time) ergane.Session {
	return ergane.Session{ID: newID(), WorkGroup: w, Status: ergane.SessionStatus{StartedAt: at}}
}

var tokens = map[string]func(*testing.T, *harness){
	"a token makes one session": func(t *testing.T, h *harness) {
		w := h.workGroup("primary")
		first, created, err := h.CreateSession(h.ctx, sessionAt(w, dawn), []ergane.Token{token("a", "1")}, ergane.Limits{})
		h.must(err)
		h.same("created", created, true)
		first = h.move(ergane.SessionReady(first.ID, after(time.Second)))
		again, created, err := h.CreateSession(h.ctx, sessionAt(w, after(time.Hour)), []ergane.Token{token("a", "1")}, ergane.Limits{})
		h.must(err)
		h.same("created again", created, false)
		h.same("the same session, as it is now", again, first)
		other, created, err := h.CreateSession(h.ctx, sessionAt(w, dawn), []ergane.Token{{Scope: "other/Start", Value: "a", Hash: "1"}}, ergane.Limits{})
		h.must(err)
		if !created || other.ID == first.ID {
			h.Error("another scope's token made the same session")
		}
	},
	"a token is looked up before the session's state": func(t *testing.T, h *harness) {
		s := h.idle()
		c := block(s.ID, after(2*time.Second))
		first, created, err := h.Submit(h.ctx, c, []ergane.Token{token("a", "1")})
		h.must(err)
		h.same("created", created, true)
		resent := c
		resent.ID = newID()
		again, created, err := h.Submit(h.ctx, resent, []ergane.Token{token("a", "1")}) // the session is BUSY now
		h.must(err)
		h.same("created again", created, false)
		first.Code = ""
		h.same("the same calculation", again, first)
		h.finish(c, after(3*time.Second))
		again, created, err = h.Submit(h.ctx, resent, []ergane.Token{token("a", "1")})
		h.must(err)
		h.same("created after the end", created, false)
		h.same("as it is now", again, h.calculation(c.ID))
		h.same("the session stays IDLE", h.session(s.ID).Status.State, ergane.SessionIdle)
	},
	"a token with other parameters is refused": func(t *testing.T, h *harness) {
		const sentence = "Idempotent parameters do not match"
		s := h.idle()
		c := block(s.ID, after(2*time.Second))
		_, _, err := h.Submit(h.ctx, c, []ergane.Token{token("a", "1")})
		h.must(err)
		_, _, err = h.Submit(h.ctx, block(s.ID, after(2*time.Second)), []ergane.Token{token("a", "2")})
		h.fails(err, ergane.CodeMismatch, sentence)
		_, _, err = h.CreateSession(h.ctx, sessionAt(s.WorkGroup, dawn), []ergane.Token{token("a", "3")}, ergane.Limits{})
		h.fails(err, ergane.CodeMismatch, sentence)
	},
	"any of a call's tokens finds what it made": func(t *testing.T, h *harness) {
		w := h.workGroup("primary")
		first, _, err := h.CreateSession(h.ctx, sessionAt(w, dawn), []ergane.Token{token("client", "1"), token("invocation", "1")}, ergane.Limits{})
		h.must(err)
		for _, ts := range [][]ergane.Token{
			{token("client", "1")}, {token("invocation", "1")}, {token("new", "1"), token("invocation", "1")}, {token("client", "1"), token("newer", "1")},
		} {
			again, created, err := h.CreateSession(h.ctx, sessionAt(w, dawn), ts, ergane.Limits{})
			h.must(err)
			h.same("created", created, false)
			h.same("id", again.ID, first.ID)
		}
	},
	"a refused call keeps no token": func(t *testing.T, h *harness) {
		s := h.idle()
		busy := h.submit(s.ID, after(2*time.Second))
		c := block(s.ID, after(3*time.Second))
		_, _, err := h.Submit(h.ctx, c, []ergane.Token{token("a", "1")})
		h.fails(err, ergane.CodeState, "")
		h.finish(busy, after(4*time.Second))
		c.Description = "other parameters"
		_, created, err := h.Submit(h.ctx, c, []ergane.Token{token("a", "2")})
		h.must(err)
		h.same("created", created, true)
	},
	"a token is not known after it has expired": func(t *testing.T, h *harness) {
		w := h.workGroup("primary")
		brief := func(hash string, start time.Time) ergane.Token {
			k := token("a", hash)
			k.Until = start.Add(time.Minute)
			return k
		}
		first, _, err := h.CreateSession(h.ctx, sessionAt(w, dawn), []ergane.Token{brief("1", dawn), token("lasting", "1")}, ergane.Limits{})
		h.must(err)
		again, _, err := h.CreateSession(h.ctx, sessionAt(w, after(time.Minute-time.Millisecond)), []ergane.Token{brief("1", after(time.Minute))}, ergane.Limits{})
		h.must(err)
		h.same("just before", again.ID, first.ID)
		second, created, err := h.CreateSession(h.ctx, sessionAt(w, after(time.Minute)), []ergane.Token{brief("2", after(time.Minute))}, ergane.Limits{})
		h.must(err)
		h.same("created at the end", created, true)
		again, _, err = h.CreateSession(h.ctx, sessionAt(w, after(time.Minute)), []ergane.Token{brief("2", after(time.Minute))}, ergane.Limits{})
		h.must(err)
		h.same("the new one's", again.ID, second.ID)
		again, _, err = h.CreateSession(h.ctx, sessionAt(w, after(1000*time.Hour)), []ergane.Token{token("lasting", "1")}, ergane.Limits{})
		h.must(err)
		h.same("one without an end", again.ID, first.ID)
	},
}
