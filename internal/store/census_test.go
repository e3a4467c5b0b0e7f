package store_test

import (
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ergane-dev/ergane"
)

func TestCensusCountsWhatHasNotEnded(t *testing.T) {
	t.Parallel()
	s := openAt(t, filepath.Join(t.TempDir(), "ergane.db"))
	ctx := t.Context()
	must(t, s.CreateWorkGroup(ctx, workGroup("primary")))
	session := func() string {
		n, _, err := s.CreateSession(ctx, ergane.Session{ID: newID(), WorkGroup: "primary", Status: ergane.SessionStatus{StartedAt: dawn}}, nil, ergane.Limits{})
		must(t, err)
		return n.ID
	}
	move := func(m ergane.SessionMove) {
		_, moved, err := s.MoveSession(ctx, m)
		if must(t, err); !moved {
			t.Fatalf("session not moved to %s", m.To)
		}
	}
	submit := func(sid string) string {
		c, _, err := s.Submit(ctx, ergane.Calculation{ID: newID(), SessionID: sid, Status: ergane.CalculationStatus{SubmittedAt: dawn}}, nil)
		must(t, err)
		return c.ID
	}
	session() // CREATING
	move(ergane.SessionLost(session(), dawn, "x"))
	for range 2 {
		move(ergane.SessionReady(session(), dawn))
	}
	busy := session()
	move(ergane.SessionReady(busy, dawn))
	done := submit(busy)
	failed := ergane.CalculationFails(done, dawn, "x")
	failed.Undelivered = &ergane.Undelivered{Outputs: 1}
	_, _, _, err := s.Settle(ctx, failed, ergane.SessionFreed(busy, dawn))
	must(t, err)
	_, _, err = s.MoveCalculation(ctx, ergane.CalculationStarts(submit(busy), dawn))
	must(t, err)
	leaving := session()
	move(ergane.SessionReady(leaving, dawn))
	submit(leaving)
	move(ergane.SessionStopping(leaving, dawn, "x"))

	got, err := s.Census(ctx)
	must(t, err)
	want := ergane.Census{
		Sessions: map[ergane.SessionState]int{
			ergane.SessionCreating: 1, ergane.SessionIdle: 2, ergane.SessionBusy: 1, ergane.SessionTerminating: 1,
		},
		Calculations:      map[ergane.CalculationState]int{ergane.CalculationRunning: 1, ergane.CalculationCreating: 1},
		PendingDeliveries: 1,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}
