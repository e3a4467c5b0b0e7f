package kernel_test

import (
	"errors"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ergane-dev/ergane"
	"github.com/ergane-dev/ergane/internal/tree"
)

func TestASectionIsWhatTheFileHasOfARange(t *testing.T) {
	t.Parallel()
	s, work := emptySpool(t)
	if _, err := s.Section(ergane.Stdout, ergane.Range{}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Section of a missing file: %v", err)
	}
	if n, err := s.Size(ergane.Stdout); n != 0 || err != nil {
		t.Errorf("Size of a missing file: %d, %v", n, err)
	}
	must(t, os.WriteFile(filepath.Join(work, "stdout"), []byte("0123456789"), 0o600))
	for _, tc := range []struct {
		start, end int64
		want       string
		missing    int64
	}{
		{0, 10, "0123456789", 0},
		{3, 5, "34", 0},
		{5, 5, "", 0},
		{8, 12, "89", 2},
		{20, 25, "", 5},
		{7, 3, "", 0},
		{-5, 2, "01", 0},
		{-5, -2, "", 0},
		{math.MinInt64, math.MaxInt64, "0123456789", math.MaxInt64 - 10},
		{math.MaxInt64, math.MaxInt64, "", 0},
		{math.MaxInt64, math.MinInt64, "", 0},
	} {
		c, err := s.Section(ergane.Stdout, ergane.Range{Start: tc.start, End: tc.end})
		must(t, err)
		missing := c.Missing
		if got := text(t, c, nil); got != tc.want || missing != tc.missing {
			t.Errorf("[%d, %d): %q, %d missing; want %q, %d", tc.start, tc.end, got, missing, tc.want, tc.missing)
		}
	}
}

func TestReleaseFreesDiskSpaceAndKeepsOffsets(t *testing.T) {
	t.Parallel()
	s, work := emptySpool(t)
	const part = 1 << 20
	must(t, os.WriteFile(filepath.Join(work, "stdout"), []byte(strings.Repeat("a", part)+strings.Repeat("b", part)), 0o600))
	before, err := tree.Use(t.Context(), work, math.MaxInt64)
	must(t, err)
	must(t, s.Release(ergane.Stdout, ergane.Range{Start: 0, End: part}))
	must(t, s.Release(ergane.Stdout, ergane.Range{Start: 3 * part, End: math.MaxInt64}))
	must(t, s.Release(ergane.Stdout, ergane.Range{Start: 5, End: -5}))
	after, err := tree.Use(t.Context(), work, math.MaxInt64)
	must(t, err)
	if after != before-part {
		t.Errorf("usage went from %d to %d, want %d less", before, after, part)
	}
	if n, err := s.Size(ergane.Stdout); n != 2*part || err != nil {
		t.Errorf("Size = %d, %v", n, err)
	}
	c, err := s.Section(ergane.Stdout, ergane.Range{Start: part - 1, End: part + 1})
	if got := text(t, c, err); got != "\x00b" {
		t.Errorf("at the border: %q", got)
	}
}

func TestARemovedCalculationIsGone(t *testing.T) {
	t.Parallel()
	s, work := emptySpool(t)
	must(t, os.WriteFile(filepath.Join(work, "calc/c/outcome.json"), []byte(good), 0o600))
	if o, ok, err := s.Outcome("c"); !ok || err != nil || o.Stdout.Len() != 4 {
		t.Fatalf("Outcome = %+v, %v, %v", o, ok, err)
	}
	for _, name := range []string{"code.py", "started.json", "outputs.ndjson", "interrupt", ".outcome.json"} {
		must(t, os.WriteFile(filepath.Join(work, "calc/c", name), nil, 0o600))
	}
	must(t, s.Remove("c"))
	must(t, s.Remove("c"))
	if _, err := os.Stat(filepath.Join(work, "calc/c")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("its folder: %v", err)
	}
	if _, ok, err := s.Outcome("c"); ok || err != nil {
		t.Errorf("Outcome after Remove: %v, %v", ok, err)
	}
	if err := s.Remove("../.."); err == nil {
		t.Error("Remove took a path")
	}
}

func TestTrimLeavesTheSpoolAlone(t *testing.T) {
	t.Parallel()
	s, work := emptySpool(t)
	outside := t.TempDir()
	must(t, os.WriteFile(filepath.Join(outside, "theirs"), nil, 0o600))
	must(t, os.MkdirAll(filepath.Join(work, "tmp", "deep"), 0o700))
	must(t, os.WriteFile(filepath.Join(work, "tmp", "deep", "big"), []byte("x"), 0o600))
	must(t, os.Symlink(outside, filepath.Join(work, "link")))
	for _, name := range []string{"stdout", "stderr", "calc/c/outputs.ndjson"} {
		must(t, os.WriteFile(filepath.Join(work, name), []byte("kept"), 0o600))
	}
	must(t, s.Trim())
	entries, err := os.ReadDir(work)
	must(t, err)
	var left []string
	for _, e := range entries {
		left = append(left, e.Name())
	}
	if got := strings.Join(left, " "); got != "calc stderr stdout" {
		t.Errorf("left: %s", got)
	}
	c, err := s.Outputs("c", 4)
	if got := text(t, c, err); got != "kept" {
		t.Errorf("the outputs are %q", got)
	}
	if _, err := os.Stat(filepath.Join(outside, "theirs")); err != nil {
		t.Error(err)
	}
}
