package store_test

import (
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/ergane-dev/ergane"
	"github.com/ergane-dev/ergane/internal/store"
)

func newID() string { return uuid.Must(uuid.NewV7()).String() }

func TestExpiredTokensAreRemoved(t *testing.T) {
	t.Parallel()
	s := openAt(t, filepath.Join(t.TempDir(), "ergane.db"))
	must(t, s.CreateWorkGroup(t.Context(), workGroup("primary")))
	create := func(value string, at, until time.Time) {
		t.Helper()
		_, created, err := s.CreateSession(t.Context(), ergane.Session{ID: newID(), WorkGroup: "primary", Status: ergane.SessionStatus{StartedAt: at}},
			[]ergane.Token{{Scope: "s", Value: value, Hash: "h", Until: until}}, ergane.Limits{})
		must(t, err)
		if !created {
			t.Fatalf("token %s was used before", value)
		}
	}
	count := func() (n int) {
		t.Helper()
		must(t, s.Readers().QueryRow("SELECT count(*) FROM tokens").Scan(&n))
		return n
	}
	many := 2*store.Purged + 1
	create("lasting", dawn, time.Time{})
	for i := range many {
		create(fmt.Sprint(i), dawn, dawn.Add(time.Minute))
	}
	if n := count(); n != many+1 {
		t.Errorf("%d tokens before they expire, want %d", n, many+1)
	}
	late := dawn.Add(time.Hour)
	for i, want := range []int{many + 2 - store.Purged, many + 3 - 2*store.Purged, 4} {
		create(fmt.Sprint("late", i), late, late.Add(time.Minute))
		if n := count(); n != want {
			t.Errorf("%d tokens after %d calls, want %d", n, i+1, want)
		}
	}
}
