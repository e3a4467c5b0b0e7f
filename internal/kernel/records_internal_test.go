package kernel

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ergane-dev/ergane"
	"github.com/ergane-dev/ergane/internal/sandbox"
)

func TestEveryServersEpochsAreHigher(t *testing.T) {
	t.Parallel()
	root, err := os.OpenRoot(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	var last int64
	for range 3 {
		e, err := takeEpochs(root)
		if err != nil {
			t.Fatal(err)
		}
		for range 3 {
			n := e.next()
			if n <= last {
				t.Fatalf("%d after %d", n, last)
			}
			last = n
		}
	}
}

func TestAKillForWantOfMemoryIsNoticedWhileItIsFresh(t *testing.T) {
	t.Parallel()
	counts := filepath.Join(t.TempDir(), "memory.events")
	missing := filepath.Join(t.TempDir(), "missing")
	kills := func(n int) {
		if err := os.WriteFile(counts, fmt.Appendf(nil, "low 0\noom 9\noom_kill %d\noom_group_kill 7\n", n), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	synctest.Test(t, func(t *testing.T) {
		kills(3)
		w := newOOMWatch(nil, []string{counts, missing})
		if why := w.lately(); why != "" {
			t.Errorf("an old kill counts: %q", why)
		}
		kills(4)
		for range 3 { // however often it is read
			w.sample()
		}
		if why := w.lately(); why != ergane.OutOfMemory {
			t.Errorf("a kill just before the last sample does not count: %q", why)
		}
		time.Sleep(sampleEvery)
		w.sample()
		if why := w.lately(); why != "" {
			t.Errorf("a kill of long ago counts: %q", why)
		}
	})
}

func TestAKillForWantOfMemoryNamesTheSessionOrTheMachine(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "ergane-x", "one")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	w := newOOMWatch(&sandbox.Group{Dirs: []string{dir}, Memory: 2 << 30}, []string{"/proc/vmstat"})
	for _, c := range []struct {
		kills, hits int
		want        string
	}{
		{0, 9, ""},
		{1, 9, "out of memory: the session's limit of 2048 MiB is reached; a larger spark.driver.memory or spark.driver.memoryOverhead raises it"},
		{1, 0, "out of memory"},
	} {
		if err := os.WriteFile(filepath.Join(dir, "memory.events"), fmt.Appendf(nil, "oom %d\noom_kill %d\n", c.hits, c.kills), 0o600); err != nil {
			t.Fatal(err)
		}
		if n, why := w.total(); n != int64(c.kills) || why != c.want || w.lately() != c.want {
			t.Errorf("%+v: %d, %q, %q", c, n, why, w.lately())
		}
	}
}
