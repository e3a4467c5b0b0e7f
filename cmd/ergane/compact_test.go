package main

import (
	"os"
	"strings"
	"testing"

	"github.com/ergane-dev/ergane/internal/datadir"
	"github.com/ergane-dev/ergane/internal/flock"
	"github.com/ergane-dev/ergane/internal/store"
	"github.com/ergane-dev/ergane/internal/testkit/olddata"
)

func TestCompactWorksWhereNoServerRuns(t *testing.T) {
	t.Parallel()
	dir := olddata.Folder(t)
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
	if shrinks, err := st.Shrinks(t.Context()); !shrinks || err != nil {
		t.Errorf("it does not shrink (%v)", err)
	}
	if _, err := st.WorkGroup(t.Context(), "w"); err != nil {
		t.Error(err)
	}
}

func TestCompactWithoutADatabaseCreatesNone(t *testing.T) {
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
