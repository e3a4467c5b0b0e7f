package session

import "time"

// A clock measures the time since a moment that was recorded with the machine's
// wall clock. The wall clock may be set while the server runs; the time since
// the first question about the moment is measured by the monotonic clock, and
// does not jump.
type clock struct {
	from  time.Time // the moment
	start time.Time // the same by the clock of this process
}

// since is how long the moment is ago, and never negative. now is the present.
func (c *clock) since(from, now time.Time) time.Duration {
	if !from.Equal(c.from) {
		c.from, c.start = from, now.Add(-max(0, now.Round(0).Sub(from)))
	}
	return max(0, now.Sub(c.start))
}
