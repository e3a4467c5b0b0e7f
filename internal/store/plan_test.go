package store_test

import (
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/ergane-dev/ergane"
	"github.com/ergane-dev/ergane/internal/store"
)

// TestNoStatementScansOrSorts asks SQLite how it would run every statement of
// the store: each must find its rows by an index, already in order.
func TestNoStatementScansOrSorts(t *testing.T) {
	t.Parallel()
	s := openAt(t, filepath.Join(t.TempDir(), "ergane.db"))
	useEverything(t, s)
	texts := s.Texts()
	if len(texts) < 40 {
		t.Errorf("only %d statements were used", len(texts))
	}
	for _, text := range texts {
		// Every row of these partial indices is wanted.
		plan := strings.ReplaceAll(explain(t, s, text), "SCAN sessions USING INDEX sessions_live", "")
		plan = strings.ReplaceAll(plan, "SCAN calculations USING INDEX calculations_undelivered", "")
		plan = strings.ReplaceAll(plan, "SCAN calculations USING COVERING INDEX calculations_undelivered", "")
		plan = strings.ReplaceAll(plan, "SCAN workgroups USING COVERING INDEX workgroups_condemned", "")
		if strings.Contains(plan, "SCAN") || strings.Contains(plan, "TEMP B-TREE") {
			t.Errorf("%s\n%s", text, plan)
		}
	}
	if plan := explain(t, s, "SELECT id FROM sessions ORDER BY description"); !strings.Contains(plan, "SCAN") || !strings.Contains(plan, "TEMP B-TREE") {
		t.Errorf("this test cannot fail: %s", plan)
	}
}

var placeholder = regexp.MustCompile(`\$(\d+)`)

func explain(t *testing.T, s *store.Store, text string) string {
	t.Helper()
	highest := 0
	for _, m := range placeholder.FindAllStringSubmatch(text, -1) {
		n, err := strconv.Atoi(m[1])
		must(t, err)
		highest = max(highest, n)
	}
	rows, err := s.Writer().Query("EXPLAIN QUERY PLAN "+text, make([]any, highest)...)
	must(t, err)
	defer rows.Close()
	var plan []string
	for rows.Next() {
		var id, parent, unused int
		var detail string
		must(t, rows.Scan(&id, &parent, &unused, &detail))
		plan = append(plan, detail)
	}
	must(t, rows.Err())
	return strings.Join(plan, "\n")
}

// useEverything calls every method of a store, with and without filters, twice:
// a statement is kept from its first use on.
func useEverything(t *testing.T, s *store.Store) {
	t.Helper()
	ctx := t.Context()
	must(t, s.CreateWorkGroup(ctx, workGroup("primary")))
	_ = s.CreateWorkGroup(ctx, workGroup("primary"))
	_, err := s.WorkGroups(ctx, ergane.Page{Limit: 1})
	must(t, err)
	for range 2 {
		tokens := []ergane.Token{{Scope: "s", Value: newID()}}
		n, _, err := s.CreateSession(ctx, ergane.Session{ID: newID(), WorkGroup: "primary", Status: ergane.SessionStatus{StartedAt: dawn}}, tokens, ergane.Limits{Sessions: 100})
		must(t, err)
		e := ergane.Executor{SessionID: n.ID, State: ergane.ExecutorCreating}
		for _, e.State = range []ergane.ExecutorState{ergane.ExecutorCreating, ergane.ExecutorCreated, ergane.ExecutorRegistered, ergane.ExecutorTerminating, ergane.ExecutorTerminated, ergane.ExecutorFailed} {
			e.ID = newID()
			must(t, s.SaveExecutors(ctx, []ergane.Executor{e}))
		}
		must(t, s.EndExecutors(ctx, n.ID, ergane.ExecutorTerminated, dawn))
		must(t, s.EndExecutors(ctx, n.ID, ergane.ExecutorFailed, dawn))

		_, _, err = s.MoveSession(ctx, ergane.SessionReady(n.ID, dawn))
		must(t, err)
		c, _, err := s.Submit(ctx, ergane.Calculation{ID: newID(), SessionID: n.ID, Status: ergane.CalculationStatus{SubmittedAt: dawn}}, tokens[:0])
		must(t, err)
		_, err = s.Calculation(ctx, c.ID)
		must(t, err)
		_, err = s.CalculationCode(ctx, c.ID)
		must(t, err)
		_, err = s.OpenCalculations(ctx, n.ID)
		must(t, err)
		must(t, s.SetProgress(ctx, map[string]ergane.CalculationStatistics{c.ID: {}}))
		_, _, _, err = s.Settle(ctx, ergane.CalculationCompletes(c.ID, dawn), ergane.SessionFreed(n.ID, dawn))
		must(t, err)
		must(t, s.RecordDelivery(ctx, c.ID, ergane.CalculationResult{}))
		must(t, s.DiscardDelivery(ctx, c.ID, ""))
		for _, m := range []ergane.CalculationMove{ergane.CalculationStarts(c.ID, dawn), ergane.CalculationStopping(c.ID, dawn, ""), ergane.CalculationFails(c.ID, dawn, ""), ergane.CalculationCancels(c.ID, dawn, "")} {
			_, _, err = s.MoveCalculation(ctx, m)
			must(t, err)
		}
		p := ergane.Page{Limit: 10, After: ergane.Key{At: dawn.Add(time.Hour), ID: "x"}}
		for n1 := range 6 {
			all := []string{"A", "B", "C", "D", "E"}[:n1]
			_, err = s.Sessions(ctx, "primary", typed[ergane.SessionState](all), p)
			must(t, err)
			_, err = s.Calculations(ctx, n.ID, typed[ergane.CalculationState](all), p)
			must(t, err)
			_, err = s.Executors(ctx, n.ID, typed[ergane.ExecutorState](all), p)
			must(t, err)
		}
		must(t, s.RenewLease(ctx, "server", dawn))
		_, err = s.TakeOver(ctx, "server", dawn)
		must(t, err)
		_, err = s.LiveSessions(ctx, "server")
		must(t, err)
		for _, m := range []ergane.SessionMove{ergane.SessionTaken(n.ID, dawn), ergane.SessionDegrades(n.ID, dawn, ""), ergane.SessionStopping(n.ID, dawn, ""), ergane.SessionStopped(n.ID, dawn), ergane.SessionLost(n.ID, dawn, "")} {
			_, _, err = s.MoveSession(ctx, m)
			must(t, err)
		}
	}
	_, err = s.PendingDeliveries(ctx)
	must(t, err)
	_, err = s.HasPendingDelivery(ctx, "x")
	must(t, err)
	_, _, err = s.SessionOf(ctx, []ergane.Token{{Scope: "s", Value: "v"}}, dawn)
	must(t, err)
	_, err = s.Census(ctx)
	must(t, err)
	_, err = s.CondemnedWorkGroups(ctx)
	must(t, err)
	for range 2 {
		old, err := s.Expired(ctx, "primary", dawn.Add(time.Hour), ergane.Page{Limit: 1})
		must(t, err)
		if len(old) != 1 {
			t.Fatalf("%d sessions have expired", len(old))
		}
		_, _, err = s.Expire(ctx, []string{old[0].ID}, dawn.Add(time.Hour))
		must(t, err)
	}
	for range 2 { // a new text is kept only if its transaction commits
		end(t, s)
	}
}

// end makes a workgroup and removes it with all that a workgroup can have.
func end(t *testing.T, s *store.Store) {
	t.Helper()
	ctx := t.Context()
	must(t, s.CreateWorkGroup(ctx, workGroup("w")))
	_, err := s.UpdateWorkGroup(ctx, "w", func(*ergane.WorkGroup) error { return nil })
	must(t, err)
	n, _, err := s.CreateSession(ctx, ergane.Session{ID: newID(), WorkGroup: "w", Status: ergane.SessionStatus{StartedAt: dawn}}, nil, ergane.Limits{})
	must(t, err)
	must(t, s.UpdateSessionTags(ctx, n.ID, func(tags []ergane.Tag) ([]ergane.Tag, error) { return tags, nil }))
	_, _, err = s.MoveSession(ctx, ergane.SessionReady(n.ID, dawn))
	must(t, err)
	c, _, err := s.Submit(ctx, ergane.Calculation{ID: newID(), SessionID: n.ID, Status: ergane.CalculationStatus{SubmittedAt: dawn}}, nil)
	must(t, err)
	_, _, _, err = s.Settle(ctx, ergane.CalculationCompletes(c.ID, dawn), ergane.SessionFreed(n.ID, dawn))
	must(t, err)
	_, _ = s.CondemnWorkGroup(ctx, "w", false, dawn, "")
	_, err = s.CondemnWorkGroup(ctx, "w", true, dawn, "")
	must(t, err)
	_, _, err = s.MoveSession(ctx, ergane.SessionStopped(n.ID, dawn))
	must(t, err)
	if now, err := s.PurgeWorkGroup(ctx, "w"); err != nil || now != ergane.PurgeDone {
		t.Fatalf("%s, %v", now, err)
	}
}

func typed[S ~string](states []string) (out []S) {
	for _, s := range states {
		out = append(out, S(s))
	}
	return out
}
