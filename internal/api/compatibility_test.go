package api

import (
	"os"
	"slices"
	"strings"
	"testing"
)

// TestEveryMemberHasItsLineInTheDocs holds docs/compatibility.md against the
// service model: each member of each offered operation, in and out, and of
// each structure below them, is listed, and nothing that does not exist.
func TestEveryMemberHasItsLineInTheDocs(t *testing.T) {
	t.Parallel()
	want := map[string][]string{} // members by operation or structure
	for name, op := range (&Service{}).operations() {
		if op.Input == nil {
			continue
		}
		for _, shape := range []string{theModel.Operations[name].Input.Shape, theModel.Operations[name].Output.Shape} {
			for member, to := range theModel.shape(shape).Members {
				want[name] = append(want[name], member)
				theModel.structures(to.Shape, want)
			}
		}
	}
	doc, err := os.ReadFile("../../docs/compatibility.md")
	if err != nil {
		t.Fatal(err)
	}
	got := documented(string(doc))
	for of, members := range want {
		slices.Sort(members)
		members = slices.Compact(members)
		for _, member := range members {
			if !slices.Contains(got[of], member) {
				t.Errorf("%s.%s is not in docs/compatibility.md", of, member)
			}
		}
		for _, member := range got[of] {
			if !slices.Contains(members, member) {
				t.Errorf("docs/compatibility.md has %s.%s, which does not exist", of, member)
			}
		}
	}
	for of := range got {
		if want[of] == nil {
			t.Errorf("docs/compatibility.md has %s, which is no operation or structure that is offered", of)
		}
	}
	if len(want) < 40 {
		t.Errorf("only %d operations and structures were looked at", len(want))
	}
}

// structures adds a shape's members, and those of what is below it.
func (m *model) structures(shape string, to map[string][]string) {
	s := m.shape(shape)
	switch s.Type {
	case "list":
		m.structures(s.Member.Shape, to)
	case "map":
		m.structures(s.Value.Shape, to)
	case "structure":
		if to[shape] != nil {
			return
		}
		to[shape] = []string{}
		for member, below := range s.Members {
			to[shape] = append(to[shape], member)
			m.structures(below.Shape, to)
		}
	}
}

// documented reads the member tables: rows of three cells, of which an empty
// first one repeats that of the row above.
func documented(doc string) map[string][]string {
	_, members, _ := strings.Cut(doc, "\n## Members\n")
	members, _, _ = strings.Cut(members, "\n## ")
	found := map[string][]string{}
	of := ""
	for line := range strings.Lines(members) {
		cells := strings.SplitN(strings.TrimSpace(line), "|", 4)
		if len(cells) < 4 || strings.HasPrefix(cells[1], "-") || strings.TrimSpace(cells[2]) == "member" {
			continue
		}
		if name := strings.TrimSpace(cells[1]); name != "" {
			of = name
		}
		found[of] = append(found[of], strings.TrimSpace(cells[2]))
	}
	return found
}
