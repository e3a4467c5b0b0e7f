// Package storesuite says what every ergane.Store does. A store's own tests
// run it, and test only what is special about that store.
package storesuite

import (
	"context"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/ergane-dev/ergane"
)

// Run runs the suite in parallel subtests. Each calls open for an empty store,
// which open must close at the end of that test.
func Run(t *testing.T, open func(t *testing.T) ergane.Store) {
	for _, group := range []map[string]func(*testing.T, *harness){
		workGroups, sessions, sessionMoves, calculations, calculationMoves, settling, tokens, paging, expiry, executors, owners, races, walks,
	} {
		for name, test := range group {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				test(t, &harness{T: t, Store: open(t), ctx: context.Background()})
			})
		}
	}
}

// dawn is the time at which every test begins. No test reads the clock.
var dawn = time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC)

func after(d time.Duration) time.Time { return dawn.Add(d) }

// harness is a store with helpers to fill it. Its methods end the test on an error.
type harness struct {
	*testing.T
	ergane.Store
	ctx context.Context
}

func (h *harness) must(err error) {
	h.Helper()
	if err != nil {
		h.Fatal(err)
	}
}

func (h *harness) same(what string, got, want any) {
	h.Helper()
	if d := cmp.Diff(want, got); d != "" {
		h.Errorf("%s (-want +got):\n%s", what, d)
	}
}

// fails checks an error's code and sentence; an empty sentence is not compared.
func (h *harness) fails(err error, code ergane.Code, sentence string) {
	h.Helper()
	e, ok := err.(*ergane.Error)
	switch {
	case err == nil:
		h.Errorf("no error, want %s %q", code, sentence)
	case ergane.CodeOf(err) != code:
		h.Errorf("code %s (%v), want %s", ergane.CodeOf(err), err, code)
	case sentence != "" && (!ok || e.Message != sentence):
		h.Errorf("%v, want %q", err, sentence)
	}
}

func newID() string { return uuid.Must(uuid.NewV7()).String() }

func (h *harness) workGroup(name string) string {
	h.Helper()
	h.must(h.CreateWorkGroup(h.ctx, ergane.WorkGroup{Name: name, State: ergane.WorkGroupEnabled, CreatedAt: dawn}))
	return name
}

// creating makes a session of a workgroup, CREATING since the time given.
func (h *harness) creating(workGroup string, since time.Time) ergane.Session {
	h.Helper()
	s, created, err := h.CreateSession(h.ctx, ergane.Session{ID: newID(), WorkGroup: workGroup, Status: ergane.SessionStatus{StartedAt: since}}, nil, ergane.Limits{})
	h.must(err)
	if !created {
		h.Fatal("the session was there before")
	}
	return s
}

// idle makes a session of a new workgroup, IDLE since one second after dawn.
func (h *harness) idle() ergane.Session {
	h.Helper()
	s := h.creating(h.workGroup(newID()), dawn)
	return h.move(ergane.SessionReady(s.ID, after(time.Second)))
}

// move makes a move that must succeed.
func (h *harness) move(m ergane.SessionMove) ergane.Session {
	h.Helper()
	s, moved, err := h.MoveSession(h.ctx, m)
	h.must(err)
	if !moved {
		h.Fatalf("the session is %s and did not move to %s", s.Status.State, m.To)
	}
	return s
}

// submit gives a session a calculation, which must be accepted.
func (h *harness) submit(session string, at time.Time) ergane.Calculation {
	h.Helper()
	c, created, err := h.Submit(h.ctx, block(session, at), nil)
	h.must(err)
	if !created {
		h.Fatal("the calculation was there before")
	}
	return c
}

func block(session string, at time.Time) ergane.Calculation {
	return ergane.Calculation{ID: newID(), SessionID: session, Code: "print(1)",
		WorkingDirectory: "s3://bucket/" + session, Status: ergane.CalculationStatus{SubmittedAt: at}}
}

// moveC makes a move that must succeed.
func (h *harness) moveC(m ergane.CalculationMove) ergane.Calculation {
	h.Helper()
	c, moved, err := h.MoveCalculation(h.ctx, m)
	h.must(err)
	if !moved {
		h.Fatalf("the calculation is %s and did not move to %s", c.Status.State, m.To)
	}
	return c
}

func (h *harness) setProgress(id string, s ergane.CalculationStatistics) {
	h.Helper()
	h.must(h.SetProgress(h.ctx, map[string]ergane.CalculationStatistics{id: s}))
}

// finish completes a calculation and frees its session.
func (h *harness) finish(c ergane.Calculation, at time.Time) {
	h.Helper()
	_, _, moved, err := h.Settle(h.ctx, complete(ergane.CalculationCompletes(c.ID, at), 1), ergane.SessionFreed(c.SessionID, at))
	h.must(err)
	if !moved {
		h.Fatal("the calculation had ended")
	}
}

func (h *harness) session(id string) ergane.Session {
	h.Helper()
	s, err := h.Session(h.ctx, id)
	h.must(err)
	return s
}

func (h *harness) calculation(id string) ergane.Calculation {
	h.Helper()
	c, err := h.Calculation(h.ctx, id)
	h.must(err)
	return c
}
