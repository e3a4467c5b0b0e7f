package kernel

import (
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/ergane-dev/ergane/internal/flock"
)

// hardLimit is how long even a calculation may run without a server: a day, or
// a minute where the limit is so short that no next server is expected.
func hardLimit(limit time.Duration) time.Duration {
	if limit < time.Minute {
		return 6 * limit
	}
	return max(24*time.Hour, limit)
}

// watchServer is the dead-man switch: it ends a kernel that no server has been
// there for longer than the time set, or the hard limit while a calculation runs.
func (s *shim) watchServer() {
	limit := time.Duration(s.in.DeadManSeconds * float64(time.Second))
	if limit <= 0 || s.in.ServerLock == "" {
		return
	}
	tick := time.NewTicker(min(max(limit/8, 20*time.Millisecond), 5*time.Second))
	defer tick.Stop()
	seen := time.Now()
	for range tick.C {
		s.oom.sample()
		s.cutSpawnLog()
		if d := deadManOf(s.root); d > 0 { // it has been claimed
			limit = d
		}
		// A lock that cannot be asked about is no proof that the server is gone.
		if held, err := flock.Held(s.in.ServerLock); held || err != nil {
			seen = time.Now()
			continue
		}
		if away := time.Since(seen); away > limit && !s.calculating() || away > hardLimit(limit) {
			s.end(fmt.Sprintf("no server came for it within %v", limit))
			return
		}
	}
}

// calculating reports whether a calculation has started and not ended.
func (s *shim) calculating() bool {
	spool, err := OpenSpool(s.in.Dir)
	if err != nil {
		return false
	}
	defer spool.Close()
	d, err := spool.root.Open("calc")
	if err != nil {
		return false
	}
	defer d.Close()
	there := func(id, name string) bool {
		_, err := spool.root.Lstat(calcFile(id, name))
		return !errors.Is(err, fs.ErrNotExist)
	}
	for {
		names, err := d.Readdirnames(256)
		for _, id := range names {
			if there(id, "started.json") && !there(id, "outcome.json") {
				return true
			}
		}
		if err != nil {
			return false
		}
	}
}
