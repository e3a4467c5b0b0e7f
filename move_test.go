package ergane_test

import (
	"slices"
	"testing"
	"time"

	"github.com/ergane-dev/ergane"
)

var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

// sessionMoves has one move of each constructor, with its expected sources: all
// that lead to its target, unless the constructor is for one of several causes.
var sessionMoves = map[string]struct {
	move ergane.SessionMove
	from []ergane.SessionState
}{
	"SessionReady": {ergane.SessionReady("s", noon), []ergane.SessionState{ergane.SessionCreating}},
	"SessionFreed": {ergane.SessionFreed("s", noon), []ergane.SessionState{ergane.SessionBusy}},
	"SessionExpires": {ergane.SessionExpires("s", noon, "why"),
		[]ergane.SessionState{ergane.SessionIdle, ergane.SessionDegraded}},
	"SessionTaken":    {ergane.SessionTaken("s", noon), ergane.Sources(ergane.SessionEdges, ergane.SessionBusy)},
	"SessionStopping": {ergane.SessionStopping("s", noon, "why"), ergane.Sources(ergane.SessionEdges, ergane.SessionTerminating)},
	"SessionStopped":  {ergane.SessionStopped("s", noon), ergane.Sources(ergane.SessionEdges, ergane.SessionTerminated)},
	"SessionLost":     {ergane.SessionLost("s", noon, "why"), ergane.Sources(ergane.SessionEdges, ergane.SessionFailed)},
	"SessionDegrades": {ergane.SessionDegrades("s", noon, "why"), ergane.Sources(ergane.SessionEdges, ergane.SessionDegraded)},
}

var calculationMoves = map[string]ergane.CalculationMove{
	"CalculationStarts":    ergane.CalculationStarts("c", noon),
	"CalculationStopping":  ergane.CalculationStopping("c", noon, "why"),
	"CalculationCompletes": ergane.CalculationCompletes("c", noon),
	"CalculationFails":     ergane.CalculationFails("c", noon, "why"),
	"CalculationCancels":   ergane.CalculationCancels("c", noon, "why"),
}

func TestASessionMoveLeavesFromItsSources(t *testing.T) {
	t.Parallel()
	for name, c := range sessionMoves {
		if m := c.move; !slices.Equal(m.From, c.from) || m.ID != "s" || !m.At.Equal(noon) {
			t.Errorf("%s is %+v, want the sources %v", name, m, c.from)
		}
		for _, from := range c.move.From {
			if !slices.Contains(ergane.Sources(ergane.SessionEdges, c.move.To), from) {
				t.Errorf("%s goes %s → %s, which is no edge", name, from, c.move.To)
			}
		}
	}
}

func TestACalculationMoveLeavesFromEverySourceOfItsTarget(t *testing.T) {
	t.Parallel()
	for name, m := range calculationMoves {
		if !slices.Equal(m.From, ergane.Sources(ergane.CalculationEdges, m.To)) || m.ID != "c" || !m.At.Equal(noon) {
			t.Errorf("%s is %+v", name, m)
		}
	}
}

func TestEveryEdgeHasAMove(t *testing.T) {
	t.Parallel()
	for _, e := range ergane.SessionEdges {
		taken := false
		for _, c := range sessionMoves {
			taken = taken || c.move.To == e.To && slices.Contains(c.move.From, e.From)
		}
		if !taken {
			t.Errorf("no constructor moves a session %s → %s", e.From, e.To)
		}
	}
	for _, e := range ergane.CalculationEdges {
		taken := false
		for _, m := range calculationMoves {
			taken = taken || m.To == e.To && slices.Contains(m.From, e.From)
		}
		if !taken {
			t.Errorf("no constructor moves a calculation %s → %s", e.From, e.To)
		}
	}
}

func TestAMoveCarriesItsReason(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"SessionStopping", "SessionExpires", "SessionLost", "SessionDegrades"} {
		if r := sessionMoves[name].move.Reason; r != "why" {
			t.Errorf("the reason of %s is %q", name, r)
		}
	}
	for _, name := range []string{"CalculationStopping", "CalculationFails", "CalculationCancels"} {
		if r := calculationMoves[name].Reason; r != "why" {
			t.Errorf("the reason of %s is %q", name, r)
		}
	}
	for _, name := range []string{"CalculationStarts", "CalculationCompletes"} {
		if r := calculationMoves[name].Reason; r != "" {
			t.Errorf("%s has the reason %q, which clients take for an error", name, r)
		}
	}
}

func TestAnEndIsTerminalAndComplete(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"CalculationCompletes", "CalculationFails", "CalculationCancels"} {
		m := calculationMoves[name]
		if !m.To.Terminal() || m.Progress != "100%" || m.Result != nil {
			t.Errorf("%s is %+v", name, m)
		}
	}
	if m := calculationMoves["CalculationStarts"]; !m.StartedAt.Equal(noon) || m.Progress != "0%" || m.Result != nil {
		t.Errorf("CalculationStarts is %+v", m)
	}
}

// machine checks the rules for every table of edges.
func machine[S ~string](t *testing.T, name string, edges []ergane.Edge[S], first S, ended func(S) bool, never ...S) {
	t.Helper()
	seen := map[[2]S]bool{}
	reached := map[S]bool{first: true}
	for range edges { // as long as any path can be
		for _, e := range edges {
			reached[e.To] = reached[e.To] || reached[e.From]
		}
	}
	for _, e := range edges {
		switch {
		case e.Evidence == "":
			t.Errorf("%s: no evidence for %s → %s", name, e.From, e.To)
		case seen[[2]S{e.From, e.To}]:
			t.Errorf("%s: %s → %s is listed twice", name, e.From, e.To)
		case ended(e.From):
			t.Errorf("%s: %s → %s leads out of an end", name, e.From, e.To)
		case !reached[e.From]:
			t.Errorf("%s: nothing leads to %s", name, e.From)
		case slices.Contains(never, e.From), slices.Contains(never, e.To):
			t.Errorf("%s: %s → %s, which is never entered", name, e.From, e.To)
		}
		seen[[2]S{e.From, e.To}] = true
		if !ended(e.To) && !slices.ContainsFunc(edges, func(next ergane.Edge[S]) bool { return next.From == e.To }) {
			t.Errorf("%s: nothing leads out of %s", name, e.To)
		}
	}
}

func TestEveryStateIsReachedAndLeftUnlessItIsAnEnd(t *testing.T) {
	t.Parallel()
	machine(t, "session", ergane.SessionEdges, ergane.SessionCreating, ergane.SessionState.Ended, ergane.SessionCreated)
	machine(t, "calculation", ergane.CalculationEdges, ergane.CalculationCreating, ergane.CalculationState.Terminal,
		ergane.CalculationCreated, ergane.CalculationQueued)
	machine(t, "executor", ergane.ExecutorEdges, ergane.ExecutorCreating, ergane.ExecutorState.Ended)
}

func TestEveryLiveExecutorMayEndEitherWay(t *testing.T) {
	t.Parallel()
	live := []ergane.ExecutorState{ergane.ExecutorCreating, ergane.ExecutorCreated, ergane.ExecutorRegistered, ergane.ExecutorTerminating}
	for _, end := range []ergane.ExecutorState{ergane.ExecutorTerminated, ergane.ExecutorFailed} {
		if got := ergane.Sources(ergane.ExecutorEdges, end); !slices.Equal(got, live) {
			t.Errorf("%s is reached from %v, want %v", end, got, live)
		}
	}
}

func TestSourcesNamesEachStateOnce(t *testing.T) {
	t.Parallel()
	edges := []ergane.Edge[string]{{From: "a", To: "c"}, {From: "b", To: "c"}, {From: "a", To: "c"}, {From: "a", To: "b"}}
	if got := ergane.Sources(edges, "c"); !slices.Equal(got, []string{"a", "b"}) {
		t.Errorf("sources %v", got)
	}
	if got := ergane.Sources(edges, "a"); got != nil {
		t.Errorf("sources %v", got)
	}
}
