package store_test

import (
	"bytes"
	"database/sql"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ergane-dev/ergane"
	"github.com/ergane-dev/ergane/internal/store"
)

var dawn = time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC)

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func workGroup(name string) ergane.WorkGroup {
	return ergane.WorkGroup{Name: name, State: ergane.WorkGroupEnabled, CreatedAt: dawn}
}

func TestOnlyTheOwnerMayReadTheDatabase(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "data", "deep")
	path := filepath.Join(dir, "ergane.db")
	s := openAt(t, path)
	must(t, s.CreateWorkGroup(t.Context(), workGroup("primary")))
	for name, want := range map[string]fs.FileMode{
		filepath.Dir(dir): 0o700, dir: 0o700, path: 0o600, path + "-wal": 0o600, path + "-shm": 0o600,
	} {
		info, err := os.Stat(name)
		must(t, err)
		if got := info.Mode().Perm(); got != want {
			t.Errorf("%s has mode %o, want %o", name, got, want)
		}
	}
}

func TestAFileThatOthersMayReadIsClosedToThem(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "ergane.db")
	must(t, os.WriteFile(path, nil, 0o644))
	must(t, os.Chmod(path, 0o644))
	openAt(t, path)
	info, err := os.Stat(path)
	must(t, err)
	if got := info.Mode().Perm(); got != 0o600 {
		t.Errorf("mode %o", got)
	}
}

func TestWhatWasWrittenIsThereAfterReopening(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "ergane.db")
	for i := range 3 {
		s, err := store.Open(t.Context(), path)
		must(t, err)
		if i == 0 {
			must(t, s.CreateWorkGroup(t.Context(), workGroup("primary")))
		}
		if _, err := s.WorkGroup(t.Context(), "primary"); err != nil {
			t.Error(err)
		}
		must(t, s.Close())
		must(t, s.Close()) // a second time is no error
		if err := s.CreateWorkGroup(t.Context(), workGroup("late")); err == nil {
			t.Error("a closed store took a write")
		}
		if _, err := s.WorkGroup(t.Context(), "primary"); err == nil {
			t.Error("a closed store answered a read")
		}
		if _, err := os.Stat(path + "-wal"); err == nil {
			t.Error("the log was left behind")
		}
	}
}

func TestADatabaseMayHaveAnyPath(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"a b", "50%", "%41", "q?x=1&_pragma=y", "a#b", "ä🧶", "a;b'c\"d", "file:x"} {
		path := filepath.Join(t.TempDir(), name, name+".db")
		s := openAt(t, path)
		must(t, s.CreateWorkGroup(t.Context(), workGroup("primary")))
		info, err := os.Stat(path + "-wal")
		if err != nil || info.Size() == 0 {
			t.Errorf("%q: the database is not there: %v", name, err)
		}
	}
}

func TestADatabaseMayHaveARelativePath(t *testing.T) {
	t.Chdir(t.TempDir())
	for _, path := range []string{"ergane.db", "da ta/er?gane.db", "./y#.db"} {
		openAt(t, path)
		if info, err := os.Stat(path); err != nil || info.Size() == 0 {
			t.Errorf("%q: the database is not there: %v", path, err)
		}
	}
}

func TestANewerDatabaseIsRefused(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "ergane.db")
	s, err := store.Open(t.Context(), path)
	must(t, err)
	_, err = s.Writer().Exec("INSERT INTO goose_db_version (version_id, is_applied) VALUES (987, true)")
	must(t, err)
	must(t, s.Close())
	_, err = store.Open(t.Context(), path)
	if err == nil || !strings.Contains(err.Error(), "a newer Ergane wrote this database (schema 987, this one knows up to 7)") || !strings.Contains(err.Error(), path) {
		t.Errorf("refused with %v", err)
	}
}

func TestADamagedDatabaseIsRefused(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "whole.db")
	s, err := store.Open(t.Context(), path)
	must(t, err)
	must(t, s.Close())
	whole, err := os.ReadFile(path)
	must(t, err)
	torn := bytes.Clone(whole)
	for i := 4096; i < len(torn); i++ {
		torn[i] = byte(i * 7)
	}
	for name, content := range map[string][]byte{
		"a text":             []byte(strings.Repeat("This is no database. ", 100)),
		"a short text":       []byte("no"),
		"torn pages":         torn,
		"a cut-off database": whole[:len(whole)/2],
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "ergane.db")
			must(t, os.WriteFile(path, content, 0o600))
			s, err := store.Open(t.Context(), path)
			if err == nil {
				must(t, s.Close())
				t.Fatal("opened")
			}
			if !strings.Contains(err.Error(), "damaged") || !strings.Contains(err.Error(), path) || strings.Contains(err.Error(), "\n") {
				t.Errorf("refused with %v", err)
			}
			if kept, err := os.ReadFile(path); err != nil || !bytes.Equal(kept, content) {
				t.Errorf("the file was changed (%v)", err)
			}
		})
	}
}

func TestAPathThatCannotBeAFileIsRefused(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	must(t, os.WriteFile(filepath.Join(dir, "file"), nil, 0o600))
	for _, path := range []string{dir, filepath.Join(dir, "file", "ergane.db")} {
		if s, err := store.Open(t.Context(), path); err == nil {
			must(t, s.Close())
			t.Errorf("%s was opened", path)
		} else if !strings.Contains(err.Error(), path) {
			t.Errorf("the error does not name the path: %v", err)
		}
	}
}

func TestEveryConnectionHasItsSettings(t *testing.T) {
	t.Parallel()
	s := openAt(t, filepath.Join(t.TempDir(), "ergane.db"))
	for name, pool := range map[string]struct {
		db          *sql.DB
		connections int
		readOnly    string
		synced      string
	}{"writer": {s.Writer(), 1, "0", "2"}, "unsynced": {s.Unsynced(), 1, "0", "1"}, "readers": {s.Readers(), 4, "1", "2"}} {
		for range pool.connections {
			c, err := pool.db.Conn(t.Context()) // held, so that the next one is another
			must(t, err)
			defer c.Close()
			for pragma, want := range map[string]string{
				"journal_mode": "wal", "synchronous": pool.synced, "foreign_keys": "1", "busy_timeout": "10000", "query_only": pool.readOnly,
			} {
				var got string
				must(t, c.QueryRowContext(t.Context(), "PRAGMA "+pragma).Scan(&got))
				if got != want {
					t.Errorf("%s: %s is %s, want %s", name, pragma, got, want)
				}
			}
		}
	}
}

func TestOpeningADatabaseThatIsUpToDateChangesNothing(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "ergane.db")
	for range 2 {
		st, err := store.Open(t.Context(), path)
		must(t, err)
		must(t, st.Close())
	}
	before, err := os.ReadFile(path)
	must(t, err)
	st, err := store.Open(t.Context(), path)
	must(t, err)
	if shrinks, err := st.Shrinks(t.Context()); !shrinks || err != nil {
		t.Errorf("shrinks %t, %v", shrinks, err)
	}
	must(t, st.Close())
	after, err := os.ReadFile(path)
	must(t, err)
	if !bytes.Equal(before, after) {
		t.Error("opening and closing changed the file")
	}
}
