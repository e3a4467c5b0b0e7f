package store_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/ergane-dev/ergane/internal/store"
)

func TestUsageIsSizeAndGrowth(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "ergane.db")
	s, err := store.Open(t.Context(), path)
	must(t, err)
	heavy(t, s, 30) // at dawn
	live, err := store.Measure(t.Context(), path, dawn.Add(time.Hour))
	must(t, err)
	if live.Sessions != 1 || live.Calculations != 30 || !live.Shrinks || live.Days != 1 || live.Bytes < 30*60_000 {
		t.Errorf("beside a server: %+v", live)
	}
	must(t, s.Close())
	for _, c := range []struct {
		now  time.Duration
		days float64
		all  bool // of the bytes came in that time
	}{{time.Hour, 1, true}, {3 * 24 * time.Hour, 3, true}, {8 * 24 * time.Hour, 7, false}} {
		u, err := store.Measure(t.Context(), path, dawn.Add(c.now))
		must(t, err)
		want := int64(0)
		if c.all {
			want = int64(float64(u.Bytes-u.Free) / c.days)
		}
		if u.Days != c.days || u.PerDay != want || u.Bytes != fileSize(t, path) {
			t.Errorf("after %v: %+v, want %d a day", c.now, u, want)
		}
	}
	if left, err := os.ReadDir(filepath.Dir(path)); err != nil || len(left) != 1 {
		t.Errorf("it left %v (%v)", left, err)
	}
	if _, err := store.Measure(t.Context(), path+"x", dawn); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("of none: %v", err)
	}
}

func TestUsageOfAnOldAndOfAnEmptyDatabase(t *testing.T) {
	t.Parallel()
	path, id := old(t, 20)
	s, err := store.Open(t.Context(), path)
	must(t, err)
	expire(t, s, id)
	must(t, s.Close())
	u, err := store.Measure(t.Context(), path, dawn)
	must(t, err)
	if u.Shrinks || u.Free < 20*60_000 || u.PerDay != 0 || u.Sessions != 0 {
		t.Errorf("%+v", u)
	}
}
