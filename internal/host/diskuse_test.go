package host

import (
	"os"
	"path/filepath"
	"testing"
)

func TestWhatASessionPrintsPastItsSpoolCounts(t *testing.T) {
	t.Parallel()
	h := New(Config{DataDir: t.TempDir()})
	dir := h.dir("one")
	if err := os.MkdirAll(filepath.Join(dir, "work"), 0o700); err != nil {
		t.Fatal(err)
	}
	before, err := h.DiskUse(t.Context(), "one", 1<<40)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "spawn.log"), make([]byte, 1<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	if got, err := h.DiskUse(t.Context(), "one", 1<<40); err != nil || got < before+1<<20 {
		t.Errorf("%d bytes, %v; %d without the log", got, err, before)
	}
}
