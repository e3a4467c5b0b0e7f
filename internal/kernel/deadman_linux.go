package kernel

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/ergane-dev/ergane/internal/child"
	"github.com/ergane-dev/ergane/internal/flock"
)

// hardLimit is how long a kernel lives without a server even while a calculation
// runs: a day, or a minute if the limit is so short that no next server is expected.
func hardLimit(limit time.Duration) time.Duration {
	if limit < time.Minute {
		return 6 * limit
	}
	return max(24*time.Hour, limit)
}

// watchServer is the dead-man switch: it ends a kernel that has been without a
// server for longer than the limit, or the hard limit while a calculation runs.
func (s *shim) watchServer() {
	limit := time.Duration(s.in.DeadManSeconds * float64(time.Second))
	if limit <= 0 || s.in.ServerLock == "" {
		return
	}
	used := func() bool {
		s.oom.sample()
		s.cutSpawnLog()
		if d := deadManOf(s.root); d > 0 { // it has been claimed
			limit = d
		}
		return flock.MayBeHeld(s.in.ServerLock)
	}
	longEnough := func(unused time.Duration) bool {
		return unused > limit && !s.calculating() || unused > hardLimit(limit)
	}
	if child.AwaitUnused(context.Background(), min(max(limit/8, 20*time.Millisecond), 5*time.Second), used, longEnough) {
		s.end(fmt.Sprintf("there was no server for %v", limit))
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
