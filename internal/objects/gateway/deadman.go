package gateway

import (
	"context"
	"os"
	"path/filepath"
	"time"

	"github.com/ergane-dev/ergane/internal/child"
	"github.com/ergane-dev/ergane/internal/flock"
)

// waitAlone returns true when no server and no kernel of the data dir has held
// its lock for limit; false when ctx ends first.
func waitAlone(ctx context.Context, dataDir string, limit time.Duration) bool {
	return child.AwaitUnused(ctx, max(min(limit/10, 3*time.Second), 10*time.Millisecond),
		func() bool { return flock.MayBeHeld(filepath.Join(dataDir, "lock")) || KernelsLive(dataDir) },
		func(unused time.Duration) bool { return unused > limit })
}

// KernelsLive reports whether a kernel of the data dir is alive, or may be. A
// living kernel writes to the embedded S3.
func KernelsLive(dataDir string) bool {
	sessions := filepath.Join(dataDir, "sessions")
	entries, _ := os.ReadDir(sessions)
	for _, e := range entries {
		if flock.MayBeHeld(filepath.Join(sessions, e.Name(), "lock")) {
			return true
		}
	}
	return false
}
