package server

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ergane-dev/ergane/internal/store"
	"github.com/ergane-dev/ergane/internal/testkit/olddata"
)

// shrinks opens a database and reports whether it can shrink, and still has the content of olddata.
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

func TestServeRewritesAnOldDatabaseOnce(t *testing.T) {
	t.Parallel()
	dir := olddata.Folder(t)
	for _, want := range []bool{true, false} {
		var said bytes.Buffer
		st, err := openStore(t.Context(), dir, slog.New(slog.NewTextHandler(&said, nil)))
		if err != nil {
			t.Fatal(err)
		}
		if !shrinks(t, st) {
			t.Error("it does not shrink")
		}
		if err := st.Close(); err != nil {
			t.Error(err)
		}
		if got := strings.Contains(said.String(), "database compacted"); got != want {
			t.Errorf("said %q", said.String())
		}
	}
}

func TestACompactionThatTakesLongIsLogged(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var said bytes.Buffer
		tell := logProgress(slog.New(slog.NewTextHandler(&said, nil)))
		for second := range 25 {
			tell(int64(second), 100)
			time.Sleep(time.Second)
		}
		if got := strings.Count(said.String(), "compacting the database"); got != 2 || !strings.Contains(said.String(), `done="3 %"`) {
			t.Errorf("logged %d times: %s", got, said.String())
		}
	})
}
