package sandbox

import (
	"encoding/json"
	"os"
	"path/filepath"

	"github.com/ergane-dev/ergane/internal/flock"
)

const (
	trialFolders = ".sandbox-*"
	trialLock    = "lock"       // held during the trial
	trialGroup   = "group.json" // the control group, recorded before it is made
)

// sweep removes what interrupted trials left. A trial without a lock file was just
// begun and has nothing to remove.
func sweep(dataDir string) {
	left, _ := filepath.Glob(filepath.Join(dataDir, trialFolders))
	for _, dir := range left {
		lock := filepath.Join(dir, trialLock)
		if _, err := os.Lstat(lock); err != nil {
			continue
		}
		if held, err := flock.Held(lock); held || err != nil {
			continue
		}
		var g Group
		if b, err := os.ReadFile(filepath.Join(dir, trialGroup)); err == nil && json.Unmarshal(b, &g) == nil && g.Check() == nil {
			if g.Remove() != nil {
				continue // the next one tries again
			}
		}
		os.RemoveAll(dir)
	}
}

// record records a group before it is made, for sweep.
func (t *trial) record(g *Group) error {
	b, err := json.Marshal(g)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(t.dir, trialGroup), b, 0o600)
}
