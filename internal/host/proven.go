package host

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/ergane-dev/ergane/internal/datadir"
	"github.com/ergane-dev/ergane/internal/sandbox"
)

// proven is sandbox.json: the layers that worked when they were last tried on a
// data folder. What protects sessions today must not be gone tomorrow without a
// word, because of a probe that failed or a setting that somebody changed.
type proven struct {
	Server   layerNames `json:"server"`   // at the server's start
	Sessions layerNames `json:"sessions"` // and with the engine, before the first session
}

type layerNames []string

// and are those names that are among others, too.
func (n layerNames) and(others []string) layerNames {
	return slices.DeleteFunc(slices.Clone(n), func(name string) bool { return !slices.Contains(others, name) })
}

func provenPath(dataDir string) string { return filepath.Join(dataDir, "sandbox.json") }

// readProven is empty where nothing was tried yet.
func readProven(dataDir string) (p proven, err error) {
	raw, err := os.ReadFile(provenPath(dataDir))
	if errors.Is(err, fs.ErrNotExist) {
		return p, nil
	}
	if err == nil {
		err = json.Unmarshal(raw, &p)
	}
	if err != nil {
		return p, fmt.Errorf("read which layers of the sandbox have worked: %w; remove %s to start with those that work now", err, provenPath(dataDir))
	}
	return p, nil
}

// remember records what works now. The caller holds trying, or is alone.
func (c *Confiner) remember(p proven) error {
	if slices.Equal(p.Server, c.before.Server) && slices.Equal(p.Sessions, c.before.Sessions) {
		return nil
	}
	if err := datadir.WriteJSON(provenPath(c.dataDir), p); err != nil {
		return fmt.Errorf("record which layers of the sandbox work: %w", err)
	}
	c.before = p
	return nil
}

// expected are the layers that should work, of which worked did the last time.
func (c *Confiner) expected(worked layerNames) []string {
	if c.named != nil {
		return c.named
	}
	if c.shared { // chosen with --master, and no failure
		return worked.and([]string{"mounts", "landlock", "pids", "group"})
	}
	return worked
}

// lacks is the error of layers that have to work, and do not.
func (c *Confiner) lacks(l sandbox.Layers, worked layerNames) error {
	if err := c.strict(l); err != nil {
		return err
	}
	missing := l.Missing(c.expected(worked))
	if len(missing) == 0 {
		return nil
	}
	if c.named != nil {
		return fmt.Errorf("--sandbox %s: here sessions cannot have %s", c.flags.Sandbox, whys(l, missing))
	}
	left := SandboxOff + ", with which code runs as the server does"
	if active := l.Active(); len(active) > 0 {
		left = strings.Join(active, ",")
	}
	return fmt.Errorf("the last time on this data folder, sessions had layers of the sandbox that they cannot have now: %s; "+
		"mend that (ergane doctor tells more), or accept less protection with --sandbox %s", whys(l, missing), left)
}

// whys are the reasons for which layers are missing.
func whys(l sandbox.Layers, missing []string) string {
	var all []string
	for _, name := range missing {
		all = append(all, fmt.Sprintf("%s (%s)", name, l.Named(name).Why))
	}
	return strings.Join(all, ", ")
}

// warn says, once, what sessions are without.
func (c *Confiner) warn(l sandbox.Layers) {
	missing := l.Missing(sandbox.Names)
	if len(missing) == 0 {
		return
	}
	c.log.Warn("sessions are less protected than they could be", "without", whys(l, missing),
		"advice", "ergane doctor tells what each layer takes; --sandbox "+strings.Join(sandbox.Names, ",")+" refuses to start without them")
}
