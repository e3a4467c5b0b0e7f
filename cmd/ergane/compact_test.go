package main

import (
	"database/sql"
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/ergane-dev/ergane"
	"github.com/ergane-dev/ergane/internal/datadir"
	"github.com/ergane-dev/ergane/internal/flock"
	"github.com/ergane-dev/ergane/internal/store"
)

// oldData is a data folder whose database an earlier version made, with a workgroup in it.
func oldData(t *testing.T) (dir string) {
	t.Helper()
	dir = t.TempDir()
	db, err := sql.Open("sqlite", "file:"+datadir.Database(dir)+"?_pragma=journal_mode(WAL)")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.Exec("CREATE TABLE x (y TEXT); DROP TABLE x"); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	st, err := store.Open(t.Context(), datadir.Database(dir))
	if err != nil {
		t.Fatal(err)
	}
	w := ergane.WorkGroup{Name: "w", State: ergane.WorkGroupEnabled, CreatedAt: time.UnixMilli(1)}
	if err := errors.Join(st.CreateWorkGroup(t.Context(), w), st.Close()); err != nil {
		t.Fatal(err)
	}
	return dir
}

// shrinks opens a database and reports whether it can shrink, and has what oldData put there.
func shrinks(t *testing.T, st *store.Store) bool {
	t.Helper()
	can, err := st.Shrinks(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := st.WorkGroup(t.Context(), "w"); err != nil {
		t.Error(err)
	}
	return can
}

func TestCompactWorksWhereNoServerRuns(t *testing.T) {
	t.Parallel()
	dir := oldData(t)
	c := compactCmd{dirs{DataDir: dir, EngineDir: dir}}
	lock, err := flock.Acquire(datadir.Lock(dir))
	if err != nil {
		t.Fatal(err)
	}
	if err := datadir.WriteJSON(datadir.ServerFile(dir), datadir.Server{PID: 4711, API: "http://here"}); err != nil {
		t.Fatal(err)
	}
	if err := c.Run(t.Context()); err == nil || !strings.Contains(err.Error(), "a server runs on "+dir+" (process 4711, http://here); stop it first") {
		t.Errorf("beside a server: %v", err)
	}
	if err := lock.Release(); err != nil {
		t.Fatal(err)
	}
	if err := c.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	if held, err := flock.Held(datadir.Lock(dir)); held || err != nil {
		t.Errorf("the lock is held (%v)", err)
	}
	st, err := store.Open(t.Context(), datadir.Database(dir))
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	if !shrinks(t, st) {
		t.Error("it does not shrink")
	}
}

func TestCompactWithoutADatabaseMakesNone(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	c := compactCmd{dirs{DataDir: dir, EngineDir: dir}}
	if err := c.Run(t.Context()); err == nil || !strings.Contains(err.Error(), "there is no database in "+dir) {
		t.Error(err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("it made %v (%v)", left, err)
	}
}
