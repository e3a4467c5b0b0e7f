package session

import (
	"testing"
	"time"
)

func TestAClockDoesNotJumpWithTheMachines(t *testing.T) {
	t.Parallel()
	start := time.Now()
	for name, c := range map[string]struct {
		from time.Time
		want time.Duration // a minute later
	}{
		"a moment ago":           {start.Round(0), time.Minute},
		"of an earlier server":   {start.Round(0).Add(-time.Hour), time.Hour + time.Minute},
		"when the clock was off": {start.Round(0).Add(time.Hour), time.Minute},
	} {
		var k clock
		k.since(c.from, start)
		// Later calls do not read the machine's clock again.
		if got := k.since(c.from.In(time.UTC), start.Add(time.Minute)); got != c.want {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
		if got := k.since(c.from.Add(time.Second), start.Add(time.Minute)); name == "a moment ago" && got != 59*time.Second {
			t.Errorf("of another moment: %v", got)
		}
	}
}
