package ergane_test

import (
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/ergane-dev/ergane"
)

var update = flag.Bool("update", false, "rewrite docs/state-machine.md")

func TestStateMachineDoc(t *testing.T) {
	t.Parallel()
	const path = "docs/state-machine.md"
	var b strings.Builder
	b.WriteString(`# State machines

Generated from the tables in ` + "`move.go`; `go test . -run TestStateMachineDoc -update`" + ` rewrites it.

A state changes by a *move*, which names the states that it may leave from. The store applies it by
compare-and-set; when another move was faster, that one is newer information and nothing else happens.
No other state change exists.
`)
	section(&b, "Session", ergane.SessionEdges, ergane.SessionCreating, ergane.SessionState.Ended,
		"`CREATED` is of AWS's enum and never entered: some clients take it for ready, others do not.")
	section(&b, "Calculation", ergane.CalculationEdges, ergane.CalculationCreating, ergane.CalculationState.Terminal,
		"`CREATED` and `QUEUED` are of AWS's enum and never entered: a session that is not `IDLE` refuses a calculation.")
	section(&b, "Executor", ergane.ExecutorEdges, ergane.ExecutorCreating, ergane.ExecutorState.Ended,
		"Executors are observed, not steered: one may first be seen in any state, and an observation that no edge allows is too late and dropped.")
	if *update {
		if err := os.WriteFile(path, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	have, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if string(have) != b.String() {
		t.Errorf("%s is not what the tables say; go test . -run TestStateMachineDoc -update", path)
	}
}

func section[S ~string](b *strings.Builder, title string, edges []ergane.Edge[S], first S, ended func(S) bool, note string) {
	fmt.Fprintf(b, "\n## %s\n\n```mermaid\nstateDiagram-v2\n    [*] --> %s\n", title, first)
	var ends []S
	for _, e := range edges {
		fmt.Fprintf(b, "    %s --> %s\n", e.From, e.To)
		if ended(e.To) && !slices.Contains(ends, e.To) {
			ends = append(ends, e.To)
		}
	}
	for _, s := range ends {
		fmt.Fprintf(b, "    %s --> [*]\n", s)
	}
	fmt.Fprintf(b, "```\n\n%s\n\n| from | to | when |\n|---|---|---|\n", note)
	for _, e := range edges {
		fmt.Fprintf(b, "| %s | %s | %s |\n", e.From, e.To, e.Evidence)
	}
}
