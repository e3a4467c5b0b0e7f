package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// dataHome is $XDG_DATA_HOME, or ~/.local/share.
func dataHome() (string, error) {
	if dir := os.Getenv("XDG_DATA_HOME"); filepath.IsAbs(dir) {
		return dir, nil
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return "", errors.New("there is no home directory for Ergane's data; set HOME, or name a folder with --data-dir and one with --engine-dir")
	}
	return filepath.Join(home, ".local", "share"), nil
}

// dirs are the folders that every subcommand needs.
type dirs struct {
	DataDir   string `help:"Folder for keys, database, results and sessions (default: ergane in the XDG data folder)." env:"ERGANE_DATA_DIR" placeholder:"DIR"`
	EngineDir string `help:"Folder for installed engines, shared by all data folders (default: ergane/engines in the XDG data folder)." env:"ERGANE_ENGINE_DIR" placeholder:"DIR"`
}

// resolve makes both absolute and fills in the defaults.
func (d *dirs) resolve() error {
	for _, f := range []struct {
		dir *string
		def string
	}{{&d.DataDir, "ergane"}, {&d.EngineDir, filepath.Join("ergane", "engines")}} {
		if *f.dir == "" {
			home, err := dataHome()
			if err != nil {
				return err
			}
			*f.dir = filepath.Join(home, f.def)
		}
		abs, err := filepath.Abs(*f.dir)
		if err != nil {
			return fmt.Errorf("find folder %s: %w", *f.dir, err)
		}
		*f.dir = abs
	}
	return nil
}
