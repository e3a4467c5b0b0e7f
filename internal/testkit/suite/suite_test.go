package main

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const goRun = `{"Action":"start","Package":"a"}
{"Action":"run","Package":"a","Test":"TestX"}
{"Action":"run","Package":"a","Test":"TestX/one"}
{"Action":"output","Package":"a","Test":"TestX/one","Output":"    a_test.go:9: got 2\n"}
{"Action":"fail","Package":"a","Test":"TestX/one","Elapsed":0.5}
{"Action":"pass","Package":"a","Test":"TestX/two","Elapsed":0.25}
{"Action":"fail","Package":"a","Test":"TestX","Elapsed":0.75}
{"Action":"output","Package":"a","Test":"TestY","Output":"    a_test.go:12: needs a moon\n"}
{"Action":"skip","Package":"a","Test":"TestY","Elapsed":0}
{"Action":"fail","Package":"a","Elapsed":1}
{"Action":"output","Package":"b","Output":"panic: oh\n"}
{"Action":"fail","Package":"b","Elapsed":1}
{"Action":"pass","Package":"c","Test":"TestZ","Elapsed":0.125}
{"Action":"pass","Package":"c","Elapsed":1}
`

func TestEachTestOfGoCountsOnceAndAFailureOfAPackageIsOne(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	g := newGoEvents(&out)
	for b := range slices.Chunk([]byte(goRun), 7) { // as it may come through a pipe
		g.Write(b)
	}
	var got []string
	for _, r := range g.results() {
		got = append(got, []string{"passed", "failed", "flaky", "skipped"}[r.outcome]+" "+r.name+" "+r.reason)
	}
	want := []string{"failed a TestX/one ", "passed a TestX/two ", "skipped a TestY needs a moon", "failed b ", "passed c TestZ "}
	if !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	for _, said := range []string{"a_test.go:9: got 2", "panic: oh", "ok c"} {
		if !strings.Contains(out.String(), said) {
			t.Errorf("%q is not in %s", said, out.String())
		}
	}
}

func TestAReportOfPytestIsReadByTestNotByPhase(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "report.jsonl")
	report := `{"$report_type":"SessionStart"}
{"$report_type":"TestReport","nodeid":"t.py::one","when":"setup","outcome":"passed","duration":1}
{"$report_type":"TestReport","nodeid":"t.py::one","when":"call","outcome":"passed","duration":2}
{"$report_type":"TestReport","nodeid":"t.py::one","when":"teardown","outcome":"failed","duration":0,"longrepr":{"reprcrash":{}}}
{"$report_type":"TestReport","nodeid":"t.py::two","when":"setup","outcome":"skipped","duration":0,"longrepr":["t.py",3,"Skipped: no box"]}
{"$report_type":"CollectReport","nodeid":"u.py","outcome":"failed","longrepr":"SyntaxError"}
{"$report_type":"Tes`
	if err := os.WriteFile(path, []byte(report), 0o600); err != nil {
		t.Fatal(err)
	}
	got, err := readReport(path)
	if err != nil || len(got) != 3 {
		t.Fatal(got, err)
	}
	if got[0].outcome != failed || got[0].took.Seconds() != 3 || got[1].outcome != skipped || got[1].reason != "Skipped: no box" || got[2].outcome != failed {
		t.Error(got)
	}
}

func TestWhatFailsIsRunOnceMoreExceptWhereThatProvesNothing(t *testing.T) {
	t.Parallel()
	all := []result{
		{name: "a TestX", outcome: failed}, {name: "a TestY", outcome: failed}, {name: "a TestZ"},
		{name: "e2e/test_durability.py::test_it", outcome: failed},
		{name: "github.com/ergane-dev/ergane/internal/store TestMoves", outcome: failed},
	}
	got, err := again(all, func(names []string) ([]result, error) {
		if !slices.Equal(names, []string{"a TestX", "a TestY"}) {
			t.Errorf("again: %q", names)
		}
		return []result{{name: "a TestX"}, {name: "a TestY", outcome: failed}}, nil
	}, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	want := []outcome{flaky, failed, passed, failed, failed}
	for i, r := range got {
		if r.outcome != want[i] {
			t.Errorf("%s: %d, want %d", r.name, r.outcome, want[i])
		}
	}
}

func TestTheLastLineCountsAndTheStatusTells(t *testing.T) {
	t.Parallel()
	flakies := func(n int) (all []result) {
		for range n {
			all = append(all, result{name: "t", outcome: flaky})
		}
		return all
	}
	for _, c := range []struct {
		results []result
		status  int
		line    string
	}{
		{[]result{{name: "a"}, {name: "b", outcome: skipped, reason: "why"}}, 0, "1 passed, 0 failed, 1 skipped"},
		{[]result{{name: "a"}, {name: "b", outcome: failed}}, 1, "1 passed, 1 failed, 0 skipped"},
		{flakies(3), 0, "3 passed, 0 failed, 0 skipped"},
		{flakies(4), 1, "0 passed, 4 failed, 0 skipped"},
	} {
		var out bytes.Buffer
		co := &checkout{build: t.TempDir()}
		status, err := co.conclude(&out, []row{{name: "part", results: c.results}})
		if err != nil || status != c.status || !strings.HasSuffix(out.String(), "\n"+c.line+"\n") {
			t.Errorf("%d, %v: %s", status, err, out.String())
		}
	}
}
