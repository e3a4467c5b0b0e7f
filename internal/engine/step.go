package engine

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"os"
	"strings"
	"time"

	"github.com/ergane-dev/ergane/internal/child"
	"github.com/ergane-dev/ergane/internal/durable"
)

// A marker records durably that a step is done. A step whose key has changed since
// (another Python, another lock file) is done again.
type marker struct {
	Version int       `json:"v"`
	Key     string    `json:"key"`
	At      time.Time `json:"at"`
	// Boot is the machine's boot id: a power failure can lose files of a step and
	// keep its marker, so after a restart of the machine the step is done again. A
	// complete engine needs no markers: it was synced before engine.json was written.
	Boot string `json:"boot"`
}

// step runs do unless an earlier run finished it with the same key. do must be
// repeatable: it has to remove what a killed run left behind.
func (in *installation) step(ctx context.Context, name, key string, do func(context.Context) error) error {
	path := in.path("steps", name+".json")
	boot, _ := child.BootID()
	var was marker
	if readJSON(path, &was) == nil && was.Key == key && was.Boot == boot {
		return nil
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return explain(name, "", err)
	}
	began := time.Now()
	if err := do(ctx); err != nil {
		return err
	}
	in.Log.Info("setup step done", keyEngine, in.Spec.ID(), keyStep, name, keyTook, time.Since(began))
	if err := writeJSON(path, marker{Version: 1, Key: key, At: began.UTC(), Boot: boot}); err != nil {
		return explain(name, "", err)
	}
	return nil
}

// keyOf is a digest of what a step's result depends on.
func keyOf(parts ...string) string {
	sum := sha256.Sum256([]byte(strings.Join(parts, "\x00")))
	return hex.EncodeToString(sum[:16])
}

func readJSON(path string, into any) error {
	raw, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	return json.Unmarshal(raw, into)
}

// writeJSON writes the file so that it is there whole or not at all, also
// after a power cut.
func writeJSON(path string, value any) error {
	raw, err := json.MarshalIndent(value, "", "  ")
	if err != nil {
		return err
	}
	return writeFile(path, append(raw, '\n'))
}

func writeFile(path string, content []byte) error { return durable.Replace(path, 0o644, content) }
