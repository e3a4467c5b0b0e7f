package kernel_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/ergane-dev/ergane/internal/kernel"
)

func TestTheAgeOfACalculationDoesNotJumpWithTheClock(t *testing.T) {
	t.Parallel()
	k, dir := startStandIn(t)
	now := time.Now()
	about := func(what string, got, want time.Duration) {
		t.Helper()
		if got < want || got > want+10*time.Minute { // a clock that was set is an hour off
			t.Errorf("%s: %v, want %v", what, got, want)
		}
	}
	about("at first", k.Age("one", now.Add(-24*time.Hour)), 24*time.Hour)
	k.Detach()
	a, err := kernel.Adopt(patience(t), dir, token, nil)
	must(t, err)
	endAfter(t, a)
	about("after the clock was set back", a.Age("one", now.Add(time.Hour)), 24*time.Hour)
	about("after it was set forward", a.Age("one", now.Add(-48*time.Hour)), 24*time.Hour)
	about("of another one", a.Age("two", now.Add(time.Hour)), 0)
	about("of one whose time comes", a.Age("three", now.Add(-time.Hour)), time.Hour)

	must(t, os.MkdirAll(filepath.Join(dir, ".age.json.tmp", "full"), 0o700)) // as on a full disk
	about("without room for a file", a.Age("four", now.Add(-24*time.Hour)), 24*time.Hour)
	about("and again", a.Age("four", now), 24*time.Hour)
}
