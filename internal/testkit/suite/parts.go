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

// A part is a part of the suite with its own row in the table.
type part struct {
	name string
	run  runner
	// needsDownloads says that the part runs after the engine is installed and all
	// else is downloaded.
	needsDownloads bool
	// background says that the part uses little of the machine: when all parts
	// run, the next ones do not wait for it.
	background bool
	// onlyNamed says that the part runs only if it is named.
	onlyNamed bool
}

// parts is the whole suite in the order in which it runs.
func (c *checkout) parts() []part {
	python := filepath.Join(c.build, "venv", "bin", "python")
	return []part{
		{name: "lint", run: commands{c: c, steps: []step{{"lint", []string{"make", "--no-print-directory", "lint"}}}}},
		{name: "fuzz", run: commands{c: c, steps: c.fuzzTests()}},
		{name: "unit", run: goTests{c, []string{"./..."}}, needsDownloads: true},
		{name: "kernel", run: pytest{c: c, dir: "kernel", name: "kernel", args: []string{"-q", "-n", "3", "tests"}}, needsDownloads: true},
		{name: "e2e", run: pytest{c: c, dir: ".", name: "e2e", args: []string{"-q", "-n", "4", "--dist", "loadfile", "e2e"}}, needsDownloads: true},
		{name: "soak", needsDownloads: true, background: true, run: commands{c: c, box: true, steps: []step{
			{"soak", []string{python, "e2e/soak/run.py", "--minutes", "1", "--every", "2", "--life", "100", "--seed", "100"}},
		}}},
		{name: "clients", needsDownloads: true, run: commands{c: c, box: true, steps: []step{
			{"clients", []string{python, "e2e/clients/run.py", "--only", "boto3,cli,go,pyathena"}},
		}}},
		{name: "chaos", needsDownloads: true, run: commands{c: c, box: true, steps: []step{
			{"points", []string{python, "e2e/chaos/points.py", "--every", "4"}},
			{"chaos with stand-ins", []string{python, "e2e/chaos/run.py", "--rounds", "30", "--seed", "100"}},
			{"chaos with Spark", []string{python, "e2e/chaos/run.py", "--rounds", "5", "--kernels", "real", "--seed", "60000"}},
		}}},
		{name: "bench", needsDownloads: true, run: commands{c: c, box: true, steps: []step{
			{"bench", []string{python, "bench/run.py", "--short"}},
			{"peers", []string{python, "bench/peers/run.py", "--short"}},
		}}},
		{name: "race", onlyNamed: true, needsDownloads: true, run: goTests{c, []string{
			"-race", "-timeout", "20m", "./internal/session", "./internal/kernel", "./internal/objects/...", "./internal/store",
		}}},
	}
}

// neverAgain are the tests that are not run again: they show that nothing is lost,
// so one failure counts.
var neverAgain = regexp.MustCompile(`(?i)test_durability|test_recovery|internal/store|recover|crash|durab`)

// testEnv is the environment in which tests of Go and of the kernel find the installed engine.
func (c *checkout) testEnv() []string {
	boot := filepath.Join(c.build, "boot.json")
	var doc struct {
		Python string `json:"python"`
	}
	if raw, err := os.ReadFile(boot); err == nil {
		_ = json.Unmarshal(raw, &doc) // without it the tests say what is missing
	}
	return []string{"ERGANE_TEST_JAVA_BOOT=" + boot, "ERGANE_TEST_PYTHON=" + doc.Python}
}

var fuzzTest = regexp.MustCompile(`(?m)^func (Fuzz[A-Za-z]+)`)

// fuzzTests has a step for each fuzz test, because go runs one at a time. They get
// a number of inputs instead of a time: at the end of a time, go sometimes reports
// its own deadline as a failure of the test.
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

// A result is the final result of one test.
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
