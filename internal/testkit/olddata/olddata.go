// Package olddata makes what earlier versions have left, for tests of what becomes of it.
package olddata

import (
	"database/sql"
	"errors"
	"testing"
	"time"

	"github.com/ergane-dev/ergane"
	"github.com/ergane-dev/ergane/internal/datadir"
	"github.com/ergane-dev/ergane/internal/store"
)

// Folder is a data folder whose database an earlier version made, with a workgroup in it.
func Folder(t testing.TB) (dir string) {
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
