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
// data folder. A server refuses to start without one of them, so that a failed
// probe or a changed setting does not silently remove a protection.
type proven struct {
	Server   layerNames `json:"server"`   // at the server's start
	Sessions layerNames `json:"sessions"` // with the engine, before the first session
}

type layerNames []string

// and is the intersection of n and others, in the order of n.
func (n layerNames) and(others []string) layerNames {
	return slices.DeleteFunc(slices.Clone(n), func(name string) bool { return !slices.Contains(others, name) })
}

func provenPath(dataDir string) string { return filepath.Join(dataDir, "sandbox.json") }

// readProven reads sandbox.json; the result is empty if nothing was tried yet.
func readProven(dataDir string) (p proven, err error) {
	raw, err := os.ReadFile(provenPath(dataDir))
	if errors.Is(err, fs.ErrNotExist) {
		return p, nil
	}
	if err == nil {
		err = json.Unmarshal(raw, &p)
	}
	if err != nil {
		return p, fmt.Errorf("read which layers of the sandbox worked before: %w; remove %s to start with those that work now", err, provenPath(dataDir))
	}
	return p, nil
}

// remember records what works now. The caller holds c.trying, or nothing else uses c yet.
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

// expected are the layers that must work: those that --sandbox names, or else
// those that worked the last time.
func (c *Confiner) expected(worked layerNames) []string {
	if c.named != nil {
		return c.named
	}
	if c.shared { // --master rules out the layer user
		return worked.and([]string{"mounts", "landlock", "pids", "group"})
	}
	return worked
}

// lacks is the error if a layer that must work does not.
func (c *Confiner) lacks(l sandbox.Layers, worked layerNames) error {
	if err := c.strict(l); err != nil {
		return err
	}
	missing := l.Missing(c.expected(worked))
	if len(missing) == 0 {
		return nil
	}
	if c.named != nil {
		return fmt.Errorf("--sandbox %s: these layers do not work here: %s", c.flags.Sandbox, whys(l, missing))
	}
	left := SandboxOff + ", with which user code runs as the server's user"
	if active := l.Active(); len(active) > 0 {
		left = strings.Join(active, ",")
	}
	return fmt.Errorf("sandbox layers that worked at the last start on this data folder do not work now: %s; "+
		"fix that (ergane doctor says more), or accept less protection with --sandbox %s", whys(l, missing), left)
}

// whys lists layers with the reasons why they do not work.
func whys(l sandbox.Layers, missing []string) string {
	var all []string
	for _, name := range missing {
		all = append(all, fmt.Sprintf("%s (%s)", name, l.Named(name).Why))
	}
	return strings.Join(all, ", ")
}

// warn logs, in one line, which layers sessions do not have.
func (c *Confiner) warn(l sandbox.Layers) {
	missing := l.Missing(sandbox.Names)
	if len(missing) == 0 {
		return
	}
	c.log.Warn("sessions are less protected than they could be", "without", whys(l, missing),
		"advice", "ergane doctor says what each layer needs; --sandbox "+strings.Join(sandbox.Names, ",")+" refuses to start without them")
}
