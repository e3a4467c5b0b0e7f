package main

import (
	"context"
	"errors"
	"io/fs"
	"path/filepath"
	"syscall"
)

// errEnough ends a walk whose result is known.
var errEnough = errors.New("over the limit")

// diskUse is how many bytes of disk the files below dir count; once that is
// more than limit nothing more is looked at. User code makes and removes files
// meanwhile: what cannot be read counts as nothing, links are not followed, and
// a walk that takes too long ends with ctx.
func diskUse(ctx context.Context, dir string, limit int64) (int64, error) {
	var sum int64
	err := filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err != nil {
			return nil // gone, or closed to us
		}
		info, err := d.Info()
		if err != nil {
			return nil
		}
		if st, ok := info.Sys().(*syscall.Stat_t); ok {
			sum += diskOf(st.Blocks)
		}
		if sum > limit {
			return errEnough
		}
		return nil
	})
	if errors.Is(err, errEnough) {
		err = nil
	}
	return sum, err
}
