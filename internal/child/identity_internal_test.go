package child

import (
	"strings"
	"testing"
)

func TestAProgramsNameDoesNotConfuseItsStat(t *testing.T) {
	t.Parallel()
	const line = "42 (a) R 1 (b)) S 7 8 9 0 -1 4194304 1 0 0 0 0 0 0 0 20 0 1 0 12345 0 0"
	st, err := parseStat([]byte(line))
	if want := (Stat{Parent: 7, Session: 9, Start: 12345}); err != nil || st != want {
		t.Errorf("got %+v, %v; want %+v", st, err, want)
	}
	for _, bad := range []string{"", "42", "42 (x)", "42 (x) S 1 2 3", strings.Replace(line, "12345", "x", 1)} {
		if _, err := parseStat([]byte(bad)); err == nil {
			t.Errorf("%q was accepted", bad)
		}
	}
}
