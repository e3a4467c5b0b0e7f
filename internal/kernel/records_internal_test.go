package kernel

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestAProgramsNameDoesNotConfuseItsStat(t *testing.T) {
	t.Parallel()
	const line = "42 (a) R 1 (b)) S 7 8 9 0 -1 4194304 1 0 0 0 0 0 0 0 20 0 1 0 12345 0 0"
	st, err := parseStat([]byte(line))
	if want := (procStat{ppid: 7, group: 8, session: 9, start: 12345}); err != nil || st != want {
		t.Errorf("got %+v, %v; want %+v", st, err, want)
	}
	for _, bad := range []string{"", "42", "42 (x)", "42 (x) S 1 2 3", strings.Replace(line, "12345", "x", 1)} {
		if _, err := parseStat([]byte(bad)); err == nil {
			t.Errorf("%q was taken", bad)
		}
	}
}

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
	kills := func(n int) {
		if err := os.WriteFile(counts, fmt.Appendf(nil, "low 0\noom 9\noom_kill %d\noom_group_kill 7\n", n), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	kills(3)
	w := newOOMWatch([]string{counts, filepath.Join(t.TempDir(), "missing")})
	if w.happened() {
		t.Error("an old kill counts")
	}
	kills(4)
	w.sample()
	if !w.happened() {
		t.Error("a kill just before the last sample does not count")
	}
	w.sample()
	if w.happened() {
		t.Error("a kill of long ago counts")
	}
}
