package store_test

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ergane-dev/ergane"
)

func TestAFullDiskIsReportedAndSurvived(t *testing.T) {
	t.Parallel()
	s := openAt(t, filepath.Join(t.TempDir(), "ergane.db"))
	must(t, s.CreateWorkGroup(t.Context(), workGroup("primary")))
	// A limit on pages gives SQLite's own "full", as the disk does.
	var pages int
	must(t, s.Writer().QueryRow("PRAGMA page_count").Scan(&pages))
	limit := func(n int) {
		var got int
		must(t, s.Writer().QueryRow(fmt.Sprintf("PRAGMA max_page_count = %d", n)).Scan(&got))
	}
	limit(pages)

	big := workGroup("big")
	big.Description = strings.Repeat("x", 1<<20)
	err := s.CreateWorkGroup(t.Context(), big)
	if ergane.CodeOf(err) != ergane.CodeUnable || !strings.HasPrefix(err.Error(), "the disk that holds the database is full: ") {
		t.Errorf("full: %v", err)
	}
	if _, err := s.WorkGroup(t.Context(), "primary"); err != nil {
		t.Errorf("a read while full: %v", err)
	}
	if _, err := s.WorkGroup(t.Context(), "big"); ergane.CodeOf(err) != ergane.CodeNotFound {
		t.Errorf("what was refused: %v", err)
	}
	limit(1 << 30)
	must(t, s.CreateWorkGroup(t.Context(), big))
}

func TestALockedDatabaseIsReported(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "ergane.db")
	s, other := openAt(t, path), openAt(t, path)
	must(t, func() error { _, err := s.Writer().Exec("PRAGMA busy_timeout = 1"); return err }())
	tx, err := other.Writer().Begin()
	must(t, err)
	err = s.CreateWorkGroup(t.Context(), workGroup("primary"))
	if ergane.CodeOf(err) != ergane.CodeUnable || !strings.HasPrefix(err.Error(), "the database is locked by another process: ") {
		t.Errorf("locked: %v", err)
	}
	must(t, tx.Rollback())
	must(t, s.CreateWorkGroup(t.Context(), workGroup("primary")))
}
