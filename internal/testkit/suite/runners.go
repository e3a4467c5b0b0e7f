package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"
)

// A runner runs the tests of a part, and what failed once more. An error is
// that of the suite, not of a test.
type runner interface {
	run(ctx context.Context, out io.Writer) ([]result, error)
}

// A step is a command that tells by its exit status.
type step struct {
	name string
	argv []string
}

// commands are steps; each is a test that is never run again.
type commands struct {
	c     *checkout
	box   bool
	steps []step
}

func (p commands) run(ctx context.Context, out io.Writer) ([]result, error) {
	var all []result
	for _, s := range p.steps {
		begun := time.Now()
		fmt.Fprintf(out, "· %s\n", s.name)
		var status int
		var err error
		if p.box {
			status, err = p.c.boxed(ctx, out, nil, s.argv...)
		} else {
			status, err = command(ctx, p.c.root, nil, out, s.argv...)
		}
		if err != nil {
			return all, fmt.Errorf("%s: %w", s.name, err)
		}
		r := result{name: s.name, took: time.Since(begun)}
		if status != 0 {
			r.outcome = failed
			fmt.Fprintf(out, "FAILED %s: exit status %d\n", s.name, status)
		}
		all = append(all, r)
	}
	return all, nil
}

// goTests runs the tests of Go packages; args are those of go test.
type goTests struct {
	c    *checkout
	args []string
}

func (p goTests) run(ctx context.Context, out io.Writer) ([]result, error) {
	first := newGoEvents(out)
	status, err := p.c.boxed(ctx, first, p.c.testEnv(), append([]string{"go", "test", "-json"}, p.args...)...)
	if err != nil {
		return nil, err
	}
	all := first.results()
	if status != 0 && !slices.ContainsFunc(all, func(r result) bool { return r.outcome == failed }) {
		all = append(all, result{name: fmt.Sprintf("go test (exit status %d)", status), outcome: failed})
	}
	return again(all, func(names []string) ([]result, error) {
		var second []result
		byPackage := map[string][]string{}
		for _, name := range names {
			pkg, test, _ := strings.Cut(name, " ")
			if test != "" { // a package that does not build stays failed
				test, _, _ = strings.Cut(test, "/")
				byPackage[pkg] = append(byPackage[pkg], regexp.QuoteMeta(test))
			}
		}
		for _, pkg := range slices.Sorted(maps.Keys(byPackage)) {
			events := newGoEvents(out)
			_, err := p.c.boxed(ctx, events, p.c.testEnv(), "go", "test", "-json", "-count=1", "-run", "^("+strings.Join(byPackage[pkg], "|")+")$", pkg)
			if err != nil {
				return nil, err
			}
			second = append(second, events.results()...)
		}
		return second, nil
	}, out)
}

// pytest runs a folder of Python tests.
type pytest struct {
	c         *checkout
	dir, name string
	args      []string
	path      string // of plugins; empty: none
}

func (p pytest) run(ctx context.Context, out io.Writer) ([]result, error) {
	all, err := p.once(ctx, out, "", p.args)
	if err != nil {
		return nil, err
	}
	return again(all, func(names []string) ([]result, error) {
		return p.once(ctx, out, "-again", append([]string{"-q"}, names...))
	}, out)
}

func (p pytest) once(ctx context.Context, out io.Writer, suffix string, args []string) ([]result, error) {
	report := filepath.Join(p.c.build, "report-"+p.name+suffix+".jsonl")
	if err := os.RemoveAll(report); err != nil {
		return nil, err
	}
	env := append(p.c.testEnv(), "PYTHONDONTWRITEBYTECODE=1")
	if p.path != "" {
		env = append(env, "PYTHONPATH="+p.path)
	}
	python := filepath.Join(p.c.build, "venv", "bin", "python")
	argv := append([]string{"env", "-C", filepath.Join(p.c.root, p.dir), python, "-m", "pytest", "--rootdir", ".", "--report-log", report}, args...)
	status, err := p.c.boxed(ctx, out, env, argv...)
	if err != nil {
		return nil, err
	}
	all, err := readReport(report)
	if err != nil || status != 0 && !slices.ContainsFunc(all, func(r result) bool { return r.outcome == failed }) {
		all = append(all, result{name: fmt.Sprintf("pytest %s (exit status %d)", p.dir, status), outcome: failed})
	}
	return all, nil
}

// readReport reads the file of pytest-reportlog, which has a line for each phase of each test.
func readReport(path string) ([]result, error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	found := map[string]*result{}
	for line := range bytes.Lines(raw) {
		var e struct {
			Type     string          `json:"$report_type"`
			NodeID   string          `json:"nodeid"`
			Outcome  string          `json:"outcome"`
			Duration float64         `json:"duration"`
			Longrepr json.RawMessage `json:"longrepr"`
		}
		if json.Unmarshal(line, &e) != nil { // the last line of a run that was killed
			continue
		}
		if e.Type == "CollectReport" && e.Outcome == "failed" {
			found[e.NodeID] = &result{name: e.NodeID, outcome: failed}
		}
		if e.Type != "TestReport" {
			continue
		}
		r := found[e.NodeID]
		if r == nil {
			r = &result{name: e.NodeID}
			found[e.NodeID] = r
		}
		r.took += time.Duration(e.Duration * float64(time.Second))
		switch e.Outcome {
		case "failed":
			r.outcome = failed
		case "skipped":
			var why []any // file, line, reason
			_ = json.Unmarshal(e.Longrepr, &why)
			r.outcome = skipped
			if len(why) == 3 {
				r.reason = fmt.Sprint(why[2])
			}
		}
	}
	all := make([]result, 0, len(found))
	for _, id := range slices.Sorted(maps.Keys(found)) {
		all = append(all, *found[id])
	}
	return all, nil
}

// manyFailures is the number of failures above which none is run again: something
// common to all tests is then broken.
const manyFailures = 20

// again runs failed tests once more, except neverAgain; those that pass then are flaky.
func again(all []result, once func(names []string) ([]result, error), out io.Writer) ([]result, error) {
	var names []string
	for _, r := range all {
		if r.outcome == failed && !neverAgain.MatchString(r.name) {
			names = append(names, r.name)
		}
	}
	if len(names) == 0 || len(names) > manyFailures {
		return all, nil
	}
	fmt.Fprintf(out, "· once more, in a new process: %s\n", strings.Join(names, ", "))
	second, err := once(names)
	if err != nil {
		return all, err
	}
	for _, r := range second {
		at := slices.IndexFunc(all, func(a result) bool { return a.name == r.name })
		if at >= 0 && all[at].outcome == failed && r.outcome == passed {
			all[at].outcome = flaky
		}
	}
	return all, nil
}

// goEvents reads the output of go test -json, prints what failed and which packages
// passed, and keeps the result of each test.
type goEvents struct {
	out    io.Writer
	rest   []byte
	said   map[string]*bytes.Buffer // by test
	found  map[string]result
	parent map[string]bool
}

func newGoEvents(out io.Writer) *goEvents {
	return &goEvents{out: out, said: map[string]*bytes.Buffer{}, found: map[string]result{}, parent: map[string]bool{}}
}

func (g *goEvents) Write(b []byte) (int, error) {
	g.rest = append(g.rest, b...)
	for {
		line, rest, ok := bytes.Cut(g.rest, []byte("\n"))
		if !ok {
			return len(b), nil
		}
		g.rest = rest
		g.take(line)
	}
}

var skipReason = regexp.MustCompile(`(?m)^\s+\S+\.go:\d+: (.*)$`)

func (g *goEvents) take(line []byte) {
	var e struct {
		Action, Package, Test, Output, ImportPath string
		Elapsed                                   float64
	}
	if json.Unmarshal(line, &e) != nil {
		fmt.Fprintf(g.out, "%s\n", line)
		return
	}
	if e.Action == "build-output" {
		fmt.Fprint(g.out, e.Output)
		return
	}
	name := strings.TrimSpace(e.Package + " " + e.Test)
	said := g.said[name]
	if said == nil {
		said = &bytes.Buffer{}
		g.said[name] = said
	}
	if e.Test != "" {
		if i := strings.LastIndex(e.Test, "/"); i >= 0 {
			g.parent[e.Package+" "+e.Test[:i]] = true
		}
	}
	r := result{name: name, took: time.Duration(e.Elapsed * float64(time.Second))}
	switch e.Action {
	case "output":
		said.WriteString(e.Output)
		return
	case "pass":
		if e.Test == "" {
			fmt.Fprintf(g.out, "ok %s %.1fs\n", e.Package, e.Elapsed)
			delete(g.said, name)
			return
		}
	case "fail":
		r.outcome = failed
		fmt.Fprintf(g.out, "FAILED %s\n%s", name, said)
	case "skip":
		if e.Test == "" { // a package without tests
			return
		}
		r.outcome = skipped
		if m := skipReason.FindSubmatch(said.Bytes()); m != nil {
			r.reason = string(m[1])
		}
	default:
		return
	}
	delete(g.said, name)
	g.found[name] = r
}

// results leaves out tests that only have subtests, and packages that failed
// because one of their tests did.
func (g *goEvents) results() []result {
	failedIn := map[string]bool{}
	for name, r := range g.found {
		pkg, test, _ := strings.Cut(name, " ")
		if r.outcome == failed && test != "" {
			failedIn[pkg] = true
			if i := strings.LastIndex(name, "/"); i > strings.Index(name, " ") {
				failedIn[name[:i]] = true
			}
		}
	}
	var all []result
	for _, name := range slices.Sorted(maps.Keys(g.found)) {
		r := g.found[name]
		_, test, _ := strings.Cut(name, " ")
		switch {
		case test == "" && failedIn[name]:
		case test != "" && g.parent[name] && (r.outcome != failed || failedIn[name]):
		default:
			all = append(all, r)
		}
	}
	slices.SortStableFunc(all, func(a, b result) int { return cmp.Compare(a.name, b.name) })
	return all
}
