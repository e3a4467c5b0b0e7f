package sandbox

import (
	"encoding/json"
	"os"
	"path/filepath"

	"github.com/ergane-dev/ergane/internal/flock"
)

const (
	trialFolders = ".sandbox-*"
	trialLock    = "lock"       // held as long as somebody tries
	trialGroup   = "group.json" // the control group, before it is made
)

// sweep removes what is left of trials that were cut short. One that was just
// begun may have no lock yet, and nothing else.
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

// record writes down a group that is to be made.
func (t *trial) record(g *Group) error {
	b, err := json.Marshal(g)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(t.dir, trialGroup), b, 0o600)
}
