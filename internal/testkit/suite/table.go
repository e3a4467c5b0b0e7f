package main

import (
	"cmp"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// maxFlaky is how many flaky tests are tolerated.
const maxFlaky = 3

// A row is a part that has run.
type row struct {
	name    string
	results []result
	took    time.Duration
}

func (r row) count(o outcome) (n int) {
	for _, t := range r.results {
		if t.outcome == o {
			n++
		}
	}
	return n
}

// conclude prints the table and the names of flaky, failed and skipped tests,
// writes the flaky ones to .build/flaky.txt, and returns the exit status. The last
// line is "N passed, N failed, N skipped"; flaky tests count as passed.
func (c *checkout) conclude(out io.Writer, rows []row) (int, error) {
	var names, lines []string
	total := map[outcome]int{}
	var all []result
	t := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "\npart\tpassed\tfailed\tflaky\tskipped\tseconds\t")
	for _, r := range rows {
		fmt.Fprintf(t, "%s\t%d\t%d\t%d\t%d\t%.0f\t\n", r.name, r.count(passed), r.count(failed), r.count(flaky), r.count(skipped), r.took.Seconds())
		for _, test := range r.results {
			total[test.outcome]++
			switch test.outcome {
			case flaky:
				names = append(names, test.name)
				lines = append(lines, "Flaky: "+test.name)
			case failed:
				lines = append(lines, "FAILED "+test.name)
			case skipped:
				lines = append(lines, "skipped: "+test.name+": "+cmp.Or(test.reason, "no reason given"))
			}
		}
		all = append(all, r.results...)
	}
	if err := t.Flush(); err != nil {
		return 0, err
	}
	slices.SortFunc(all, func(a, b result) int { return cmp.Compare(b.took, a.took) })
	fmt.Fprintln(out, "\nthe slowest:")
	for _, test := range all[:min(10, len(all))] {
		fmt.Fprintf(out, "%8.1f s  %s\n", test.took.Seconds(), test.name)
	}
	fmt.Fprintf(out, "\n%s\n", strings.Join(lines, "\n"))
	if err := os.WriteFile(filepath.Join(c.build, "flaky.txt"), []byte(strings.Join(append(names, ""), "\n")), 0o644); err != nil {
		return 0, err
	}
	status := 0
	if total[failed] > 0 {
		status = 1
	}
	if total[flaky] > maxFlaky {
		fmt.Fprintf(out, "%d tests are flaky, more than %d: they count as failed\n", total[flaky], maxFlaky)
		total[failed] += total[flaky]
		total[flaky], status = 0, 1
	}
	fmt.Fprintf(out, "%d passed, %d failed, %d skipped\n", total[passed]+total[flaky], total[failed], total[skipped])
	return status, nil
}
