package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"

	"github.com/alecthomas/kong"
)

// configFile is what --config names: a JSON object of flag names, without the
// dashes in front, and their values.
type configFile map[string]any

// readConfig is a kong.ConfigurationLoader.
func readConfig(r io.Reader) (kong.Resolver, error) {
	var c configFile
	if err := json.NewDecoder(r).Decode(&c); err != nil {
		return nil, fmt.Errorf("--config: not a JSON object: %w", err)
	}
	return c, nil
}

// Validate refuses a key that is no flag: it would have no effect, and nobody would know.
func (c configFile) Validate(app *kong.Application) error {
	known := map[string]bool{}
	for _, node := range append(slices.Clone(app.Children), app.Node) {
		for _, flag := range node.Flags {
			known[flag.Name] = true
		}
	}
	for key := range c {
		if !known[key] {
			return fmt.Errorf("--config: there is no flag --%s", key)
		}
	}
	return nil
}

// Resolve gives a flag its value, unless the command line or the environment does.
func (c configFile) Resolve(_ *kong.Context, _ *kong.Path, flag *kong.Flag) (any, error) {
	for _, name := range flag.Envs {
		if _, ok := os.LookupEnv(name); ok {
			return nil, nil
		}
	}
	return c[flag.Name], nil
}
