//go:build !linux

// Package tree removes and measures folders. Only on Linux is it safe with folders of hostile
// user code; no other system runs sessions.
package tree

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
)

// Remove removes what is at path, and all that is in it.
func Remove(path string) error { return os.RemoveAll(path) }

// Clear removes what is in an open folder, except the names to keep.
func Clear(folder *os.File, keep ...string) error {
	entries, err := os.ReadDir(folder.Name())
	for _, e := range entries {
		if !slices.Contains(keep, e.Name()) {
			err = errors.Join(err, os.RemoveAll(filepath.Join(folder.Name(), e.Name())))
		}
	}
	return err
}

// ErrLost is only returned on Linux.
var ErrLost = errors.New("the folder cannot be measured")

// Size is how many bytes a file of so many blocks, of 512 bytes, counts as.
func Size(blocks int64) int64 { return blocks * 512 }

// Use is the size of a folder's files, in bytes.
func Use(ctx context.Context, path string, limit int64) (sum int64, err error) {
	err = filepath.WalkDir(path, func(_ string, d fs.DirEntry, err error) error {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err != nil {
			return nil // gone, or not readable
		}
		if info, err := d.Info(); err == nil {
			sum += info.Size()
		}
		if sum > limit {
			return fs.SkipAll
		}
		return nil
	})
	return sum, err
}
