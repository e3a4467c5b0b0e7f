package durable_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/ergane-dev/ergane/internal/durable"
)

func TestReplaceLeavesTheNewContentOrTheOld(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "file")
	for _, content := range []string{"first, and longer", "second"} {
		if err := durable.Replace(path, 0o640, []byte(content)); err != nil {
			t.Fatal(err)
		}
		if got, err := os.ReadFile(path); err != nil || string(got) != content {
			t.Fatalf("got %q, %v; want %q", got, err, content)
		}
	}
	if info, err := os.Stat(path); err != nil || info.Mode() != 0o640 {
		t.Fatalf("mode %v, %v", info.Mode(), err)
	}
	taken := filepath.Join(dir, "taken")
	if err := os.MkdirAll(filepath.Join(taken, "below"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := durable.Replace(taken, 0o600, nil); err == nil {
		t.Fatal("a folder was replaced by a file")
	}
	names, err := os.ReadDir(dir)
	if err != nil || len(names) != 2 {
		t.Fatalf("left behind: %v, %v", names, err)
	}
	if err := durable.Replace(filepath.Join(dir, "none", "file"), 0o600, nil); err == nil {
		t.Fatal("a file was written where there is no folder")
	}
}
