package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// all runs the named parts, or all of them, and prints the table. Parts that need
// no downloads run while those are fetched.
func (c *checkout) all(ctx context.Context, names []string) (int, error) {
	wanted := c.parts()
	for _, name := range names {
		if !slices.ContainsFunc(wanted, func(p part) bool { return p.name == name }) {
			return 0, fmt.Errorf("there is no part %q", name)
		}
	}
	whole := len(names) == 0
	wanted = slices.DeleteFunc(wanted, func(p part) bool {
		return whole && p.onlyNamed || !whole && !slices.Contains(names, p.name)
	})
	var rows []row
	var downloads row
	var waiting sync.WaitGroup
	var output bytes.Buffer
	joined := !whole
	if whole {
		say(os.Stdout, "downloads, at the same time as lint and fuzz")
		waiting.Go(func() {
			downloads = c.one(ctx, part{name: "downloads", run: commands{c: c, steps: []step{{"downloads", []string{"make", "--no-print-directory", "downloads"}}}}}, &output)
		})
	}
	var backgrounds []*background
	for _, p := range wanted {
		if whole && p.background {
			say(os.Stdout, p.name+", at the same time as the next parts")
			b := &background{}
			backgrounds = append(backgrounds, b)
			waiting.Go(func() { b.row = c.one(ctx, p, &b.output) })
			continue
		}
		if p.needsDownloads && !joined {
			waiting.Wait()
			joined = true
			fmt.Print(output.String())
			rows = append(rows, downloads)
		}
		say(os.Stdout, p.name)
		r := c.one(ctx, p, os.Stdout)
		say(os.Stdout, fmt.Sprintf("%s took %.0f s", p.name, r.took.Seconds()))
		rows = append(rows, r)
		if ctx.Err() != nil {
			break
		}
	}
	waiting.Wait()
	for _, b := range backgrounds {
		say(os.Stdout, b.row.name)
		fmt.Print(b.output.String())
		say(os.Stdout, fmt.Sprintf("%s took %.0f s", b.row.name, b.row.took.Seconds()))
		rows = append(rows, b.row)
	}
	return c.conclude(os.Stdout, rows)
}

// background is a part that runs at the same time as others; its output is shown
// when all have ended.
type background struct {
	row    row
	output bytes.Buffer
}

// one runs a part. If the part itself fails, that counts as a failed test.
func (c *checkout) one(ctx context.Context, p part, out io.Writer) row {
	begun := time.Now()
	results, err := p.run.run(ctx, out)
	if err != nil {
		fmt.Fprintf(out, "FAILED %s: %v\n", p.name, err)
		results = append(results, result{name: p.name, outcome: failed})
	}
	return row{name: p.name, results: results, took: time.Since(begun)}
}

// again runs one test n times in a box and prints how often it failed. If n is
// more than 1, two busy loops run beside it.
func (c *checkout) again(ctx context.Context, n int, test string) (int, error) {
	busy, stop := context.WithCancel(ctx)
	var loops sync.WaitGroup
	defer loops.Wait()
	defer stop()
	for range min(n-1, 2) {
		loops.Go(func() { _, _ = command(busy, c.root, nil, io.Discard, "sh", "-c", "while :; do :; done") })
	}
	var run func(out io.Writer) ([]result, error)
	file, name, _ := strings.Cut(test, ":")
	switch {
	case strings.Contains(file, ".py"):
		// All in one process: what its tests share is started once.
		dir, name := ".", test
		if in, ok := strings.CutPrefix(test, "kernel/"); ok {
			dir, name = "kernel", in
		}
		p := pytest{c: c, dir: dir, name: "again", path: filepath.Join(c.root, "internal", "testkit", "suite")}
		repeat := []string{"-q", "-p", "repeat", "--repeat", strconv.Itoa(n), name}
		run, n = func(out io.Writer) ([]result, error) { return p.once(ctx, out, "", repeat) }, 1
	default:
		pattern := "." // every test of the package
		if name != "" {
			pattern = "^" + name + "$"
		}
		binary := filepath.Join(c.build, "again.test") // built once, and run in a process of its own each time
		if err := os.RemoveAll(binary); err != nil {   // another package's: go builds none of a package without tests
			return 0, err
		}
		if status, err := command(ctx, c.root, nil, os.Stdout, "go", "test", "-c", "-o", binary, "./"+file); err != nil || status != 0 {
			return status, err
		}
		if _, err := os.Stat(binary); err != nil {
			return 0, fmt.Errorf("%s has no tests", file)
		}
		run = func(out io.Writer) ([]result, error) {
			events := newGoEvents(out)
			_, err := c.boxed(ctx, events, c.testEnv(), "env", "-C", filepath.Join(c.root, file),
				"go", "tool", "test2json", "-t", "-p", file, binary, "-test.v=test2json", "-test.run", pattern)
			return events.results(), err
		}
	}
	failures, passes := 0, 0
	for i := range n {
		var out bytes.Buffer
		begun := time.Now()
		results, err := run(&out)
		if err != nil {
			return 0, err
		}
		word := "passed"
		if slices.ContainsFunc(results, func(r result) bool { return r.outcome == failed }) {
			word = "FAILED\n" + out.String()
		}
		for _, r := range results {
			switch r.outcome {
			case failed:
				failures++
			case skipped:
			default:
				passes++
			}
		}
		fmt.Printf("%d of %d %s (%.1f s)\n", i+1, n, word, time.Since(begun).Seconds())
	}
	if failures+passes == 0 {
		return 0, fmt.Errorf("there is no test %q, or it is skipped", test)
	}
	fmt.Printf("%d passed, %d failed, 0 skipped\n", passes, failures)
	return min(failures, 1), nil
}

func say(out io.Writer, words string) { fmt.Fprintf(out, "=== %s\n", words) }
