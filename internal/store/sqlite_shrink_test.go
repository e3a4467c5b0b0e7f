package store_test

import (
	"context"
	"database/sql"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ergane-dev/ergane"
	"github.com/ergane-dev/ergane/internal/store"
)

// heavy adds n calculations with long code, in an ended session whose id it returns.
func heavy(t *testing.T, s *store.Store, n int) string {
	t.Helper()
	ctx := t.Context()
	if _, err := s.WorkGroup(ctx, "primary"); err != nil {
		must(t, s.CreateWorkGroup(ctx, workGroup("primary")))
	}
	made, _, err := s.CreateSession(ctx, ergane.Session{ID: newID(), WorkGroup: "primary", Status: ergane.SessionStatus{StartedAt: dawn}}, nil, ergane.Limits{})
	must(t, err)
	_, _, err = s.MoveSession(ctx, ergane.SessionReady(made.ID, dawn))
	must(t, err)
	code := strings.Repeat("x = 1\n", 10_000)
	for range n {
		c, _, err := s.Submit(ctx, ergane.Calculation{ID: newID(), SessionID: made.ID, Code: code, Status: ergane.CalculationStatus{SubmittedAt: dawn}}, nil)
		must(t, err)
		_, _, _, err = s.Settle(ctx, ergane.CalculationCompletes(c.ID, dawn), ergane.SessionFreed(made.ID, dawn))
		must(t, err)
	}
	_, _, err = s.MoveSession(ctx, ergane.SessionLost(made.ID, dawn, "lost"))
	must(t, err)
	return made.ID
}

func expire(t *testing.T, s *store.Store, id string) {
	t.Helper()
	for left := []string{id}; len(left) > 0; {
		var err error
		_, left, err = s.Expire(t.Context(), left, dawn.Add(time.Hour))
		must(t, err)
	}
	if _, err := s.Session(t.Context(), id); ergane.CodeOf(err) != ergane.CodeNotFound {
		t.Fatalf("the session is still there (%v)", err)
	}
}

// reclaim returns all free space to the disk, and how many calls that took.
func reclaim(t *testing.T, s *store.Store) (steps int) {
	t.Helper()
	for more := true; more; steps++ {
		var err error
		more, err = s.Reclaim(t.Context())
		must(t, err)
		if steps > 1000 {
			t.Fatal("it does not end")
		}
	}
	return steps
}

func fileSize(t *testing.T, path string) int64 {
	t.Helper()
	info, err := os.Stat(path)
	must(t, err)
	return info.Size()
}

func sound(t *testing.T, s *store.Store) {
	t.Helper()
	var verdict string
	must(t, s.Readers().QueryRow("PRAGMA integrity_check").Scan(&verdict))
	if verdict != "ok" {
		t.Errorf("the database is damaged: %s", verdict)
	}
}

func TestTheFileShrinksInStepsWhenSessionsAreRemoved(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "ergane.db")
	s := openAt(t, path)
	gone, kept := heavy(t, s, 200), heavy(t, s, 5)
	expire(t, s, gone)
	before := fileSize(t, path)
	if steps := reclaim(t, s); steps < 3 {
		t.Errorf("it took %d steps", steps)
	}
	if after := fileSize(t, path); after > before/3 || before < 10<<20 {
		t.Errorf("%d bytes became %d", before, after)
	}
	sound(t, s)
	if _, err := s.Session(t.Context(), kept); err != nil {
		t.Error(err)
	}
	if steps := reclaim(t, s); steps != 1 {
		t.Errorf("it took %d steps when there was no free space", steps)
	}
}

// old makes a database that cannot shrink, as earlier versions did, with an ended session in it.
func old(t *testing.T, n int) (path, session string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "ergane.db")
	must(t, os.WriteFile(path, nil, 0o600))
	db, err := sql.Open("sqlite", "file:"+path+"?_pragma=journal_mode(WAL)")
	must(t, err)
	_, err = db.Exec("CREATE TABLE x (y TEXT); DROP TABLE x")
	must(t, errors.Join(err, db.Close()))
	s, err := store.Open(t.Context(), path)
	must(t, err)
	defer func() { must(t, s.Close()) }()
	return path, heavy(t, s, n)
}

func shrinks(t *testing.T, s *store.Store) bool {
	t.Helper()
	can, err := s.Shrinks(t.Context())
	must(t, err)
	return can
}

func TestAnOldDatabaseShrinksOnceItIsCompacted(t *testing.T) {
	t.Parallel()
	path, id := old(t, 100)
	s, err := store.Open(t.Context(), path)
	must(t, err)
	if shrinks(t, s) {
		t.Error("this test cannot fail: it shrinks already")
	}
	kept := heavy(t, s, 20)
	expire(t, s, id)
	reclaim(t, s)
	sound(t, s)
	must(t, s.Close())
	before := fileSize(t, path)

	must(t, store.Compact(t.Context(), path, nil))
	if after := fileSize(t, path); after > before/2 {
		t.Errorf("%d bytes became %d", before, after)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("it has mode %v (%v)", info.Mode(), err)
	}
	if left, err := filepath.Glob(path + "?*"); err != nil || len(left) > 0 {
		t.Errorf("beside it there is %v (%v)", left, err)
	}
	s = openAt(t, path)
	if !shrinks(t, s) {
		t.Error("it still does not shrink")
	}
	sound(t, s)
	if list, err := s.Calculations(t.Context(), kept, nil, ergane.Page{Limit: 100}); err != nil || len(list) != 20 {
		t.Errorf("%d of 20 calculations are left (%v)", len(list), err)
	}
	before = fileSize(t, path)
	expire(t, s, kept)
	reclaim(t, s)
	if after := fileSize(t, path); after >= before {
		t.Errorf("%d bytes became %d", before, after)
	}
}

func TestACompactionThatEndsEarlyLeavesTheDatabaseAsItWas(t *testing.T) {
	t.Parallel()
	path, id := old(t, 3)
	must(t, os.WriteFile(path+".compact", []byte("of one that was killed"), 0o600))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := store.Compact(ctx, path, nil); !errors.Is(err, context.Canceled) || !strings.Contains(err.Error(), path) {
		t.Errorf("it ended with %v", err)
	}
	if left, err := filepath.Glob(path + "?*"); err != nil || len(left) > 0 {
		t.Errorf("beside it there is %v (%v)", left, err)
	}
	s := openAt(t, path)
	if _, err := s.Session(t.Context(), id); err != nil {
		t.Error(err)
	}
	// s has it open now, and would go on writing to the old file.
	if err := store.Compact(t.Context(), path, nil); err == nil || !strings.Contains(err.Error(), "another process has the database open") {
		t.Errorf("of an open database: %v", err)
	}
	next := heavy(t, s, 1)
	sound(t, s)
	if _, err := s.Session(t.Context(), next); err != nil {
		t.Error(err)
	}
}

func TestCompactingAMissingDatabaseFails(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "ergane.db")
	if err := store.Compact(t.Context(), path, nil); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
	if left, err := filepath.Glob(path + "*"); err != nil || len(left) > 0 {
		t.Errorf("it made %v (%v)", left, err)
	}
}

func TestACompactionReportsItsProgress(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "growing")
	reported := make(chan int64)
	stop := store.Watch(path, 100, func(done, most int64) {
		if most != 100 {
			t.Errorf("of %d", most)
		}
		reported <- done
	})
	must(t, os.WriteFile(path, make([]byte, 40), 0o600))
	if done := <-reported; done > 40 {
		t.Errorf("%d of 40 are written", done)
	}
	must(t, os.WriteFile(path, make([]byte, 200), 0o600))
	for done := range reported {
		if done == 100 {
			break
		}
	}
	go func() {
		for range reported { // there may be one more
		}
	}()
	stop()
	close(reported)
}

func TestACompactionNeedsDiskSpace(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "ergane.db")
	if err := os.WriteFile(path, make([]byte, 4096), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := store.RoomFor(path, 1); err != nil {
		t.Error(err)
	}
	if err := store.RoomFor(path, 1<<48); err == nil || !strings.Contains(err.Error(), "are free") {
		t.Error(err)
	}
}
