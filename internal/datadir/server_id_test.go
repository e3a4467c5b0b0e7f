package datadir_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ergane-dev/ergane/internal/datadir"
)

func TestADataFolderKeepsItsServersID(t *testing.T) {
	t.Parallel()
	dir, other := t.TempDir(), t.TempDir()
	first, err := datadir.ServerID(dir)
	if err != nil || len(first) != 36 {
		t.Fatalf("%q, %v", first, err)
	}
	if again, err := datadir.ServerID(dir); err != nil || again != first {
		t.Errorf("%q the second time, and %q the first: %v", again, first, err)
	}
	if id, err := datadir.ServerID(other); err != nil || id == first {
		t.Errorf("another folder has %q: %v", id, err)
	}
}

func TestADamagedServerIDIsRefusedAndKept(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "server.id")
	for _, text := range []string{"", "not an id\n"} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		id, err := datadir.ServerID(dir)
		if err == nil || !strings.Contains(err.Error(), path) {
			t.Errorf("%q gives %q, %v", text, id, err)
		}
		if kept, err := os.ReadFile(path); err != nil || string(kept) != text {
			t.Errorf("%q became %q, %v", text, kept, err)
		}
	}
}
