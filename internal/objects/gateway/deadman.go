package gateway

import (
	"context"
	"os"
	"path/filepath"
	"time"

	"github.com/ergane-dev/ergane/internal/flock"
)

// waitAlone returns true when, for the whole of limit, no server and no kernel
// of the data dir held its lock; false when ctx ends first. Who is alive is
// asked of the kernel's lock table, so nothing has to sign off.
func waitAlone(ctx context.Context, dataDir string, limit time.Duration) bool {
	every := min(limit/10, 3*time.Second)
	tick := time.NewTicker(max(every, 10*time.Millisecond))
	defer tick.Stop()
	for last := time.Now(); ; {
		select {
		case <-ctx.Done():
			return false
		case <-tick.C:
		}
		if inUse(dataDir) {
			last = time.Now()
		} else if time.Since(last) > limit {
			return true
		}
	}
}

// inUse reports whether the server or any kernel is alive. A lock that cannot
// be asked about counts as held: ending too late is the smaller harm.
func inUse(dataDir string) bool {
	if held, err := flock.Held(filepath.Join(dataDir, "lock")); held || err != nil {
		return true
	}
	return KernelsLive(dataDir)
}

// KernelsLive reports whether a kernel of the data dir is alive, or may be:
// one writes through the store.
func KernelsLive(dataDir string) bool {
	sessions := filepath.Join(dataDir, "sessions")
	entries, _ := os.ReadDir(sessions)
	for _, e := range entries {
		if held, err := flock.Held(filepath.Join(sessions, e.Name(), "lock")); held || err != nil {
			return true
		}
	}
	return false
}
