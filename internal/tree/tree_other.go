//go:build !linux

// Package tree removes folders. Only on Linux does it do so against the will of
// those who have made what is in them; nothing else runs sessions.
package tree

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
)

// Remove removes what is at path, and all that is in it.
func Remove(path string) error { return os.RemoveAll(path) }

// Clear removes what is in an open folder, but for the names given.
func Clear(folder *os.File, keep ...string) error {
	entries, err := os.ReadDir(folder.Name())
	for _, e := range entries {
		if !slices.Contains(keep, e.Name()) {
			err = errors.Join(err, os.RemoveAll(filepath.Join(folder.Name(), e.Name())))
		}
	}
	return err
}
