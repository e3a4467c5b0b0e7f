package main

import (
	"cmp"
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"
)

// A part is a piece of the suite with a row of its own in the table.
type part struct {
	name string
	run  runner
	// alone is false for a part that may run while the engine is installed.
	alone bool
	// beside is true for a part that leaves most of the machine to others: in a
	// whole run the next ones do not wait for it.
	beside bool
	// asked is true for a part that runs only by its name.
	asked bool
}

// parts is the whole suite in the order in which it runs.
func (c *checkout) parts() []part {
	python := filepath.Join(c.build, "venv", "bin", "python")
	return []part{
		{name: "lint", run: commands{c: c, steps: []step{{"lint", []string{"make", "--no-print-directory", "lint"}}}}},
		{name: "fuzz", run: commands{c: c, steps: c.fuzzTests()}},
		{name: "unit", run: goTests{c, []string{"./..."}}, alone: true},
		{name: "kernel", run: pytest{c: c, dir: "kernel", name: "kernel", args: []string{"-q", "-n", "3", "tests"}}, alone: true},
		{name: "e2e", run: pytest{c: c, dir: ".", name: "e2e", args: []string{"-q", "-n", "4", "--dist", "loadfile", "e2e"}}, alone: true},
		{name: "soak", alone: true, beside: true, run: commands{c: c, box: true, steps: []step{
			{"soak", []string{python, "e2e/soak/run.py", "--minutes", "1", "--every", "2", "--life", "100", "--seed", "100"}},
		}}},
		{name: "clients", alone: true, run: commands{c: c, box: true, steps: []step{
			{"clients", []string{python, "e2e/clients/run.py", "--only", "boto3,cli,go,pyathena"}},
		}}},
		{name: "chaos", alone: true, run: commands{c: c, box: true, steps: []step{
			{"points", []string{python, "e2e/chaos/points.py", "--every", "4"}},
			{"chaos with stand-ins", []string{python, "e2e/chaos/run.py", "--rounds", "30", "--seed", "100"}},
			{"chaos with Spark", []string{python, "e2e/chaos/run.py", "--rounds", "5", "--kernels", "real", "--seed", "60000"}},
		}}},
		{name: "bench", alone: true, run: commands{c: c, box: true, steps: []step{
			{"bench", []string{python, "bench/run.py", "--short"}},
			{"peers", []string{python, "bench/peers/run.py", "--short"}},
		}}},
		{name: "race", asked: true, alone: true, run: goTests{c, []string{
			"-race", "-timeout", "20m", "./internal/session", "./internal/kernel", "./internal/objects/...", "./internal/store",
		}}},
	}
}

// neverAgain are tests whose failure is one, whatever a second run says: they
// show that nothing is lost.
var neverAgain = regexp.MustCompile(`(?i)test_durability|test_recovery|internal/store|recover|crash|durab`)

// testEnv is what the tests of Go and of the kernel know of the installed engine.
func (c *checkout) testEnv() []string {
	boot := filepath.Join(c.build, "boot.json")
	var doc struct {
		Python string `json:"python"`
	}
	if raw, err := os.ReadFile(boot); err == nil {
		_ = json.Unmarshal(raw, &doc) // the tests say what they miss
	}
	return []string{"ERGANE_TEST_JAVA_BOOT=" + boot, "ERGANE_TEST_PYTHON=" + doc.Python}
}

var fuzzTest = regexp.MustCompile(`(?m)^func (Fuzz[A-Za-z]+)`)

// fuzzTests is a step for each fuzz test; go takes one at a time. They are told
// how many inputs to try and not for how long: at the end of a time, go now and
// then reports its own deadline as a failure of the test.
func (c *checkout) fuzzTests() []step {
	inputs := cmp.Or(os.Getenv("FUZZ_INPUTS"), "3000")
	var found []step
	_ = filepath.WalkDir(filepath.Join(c.root, "internal"), func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		raw, err := os.ReadFile(path)
		folder, _ := filepath.Rel(c.root, filepath.Dir(path))
		for _, m := range fuzzTest.FindAllSubmatch(raw, -1) {
			name := string(m[1])
			found = append(found, step{folder + " " + name, []string{
				"go", "test", "./" + folder, "-run", "^$", "-fuzz", "^" + name + "$", "-fuzztime", inputs + "x", "-fuzzminimizetime", "10x",
			}})
		}
		return err
	})
	slices.SortFunc(found, func(a, b step) int { return strings.Compare(a.name, b.name) })
	return found
}

// A result is how one test ended, in the end.
type result struct {
	name    string
	outcome outcome
	reason  string // of a skip
	took    time.Duration
}

type outcome int

const (
	passed outcome = iota
	failed
	flaky // failed, and passed when it was run once more
	skipped
)
