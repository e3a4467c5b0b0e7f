package main

import (
	"context"
	"path/filepath"

	"github.com/ergane-dev/ergane/internal/kernel"
)

// leastFile is what a file counts at least, in bytes: its place among the
// files of the disk is used up, too, also where it is empty.
const leastFile = 4 << 10

// diskOf is what a file or folder of so many blocks counts.
func diskOf(blocks int64) int64 { return max(blocks*512, leastFile) }

// DiskUse is what the session's files count, with and without names.
func (h *host) DiskUse(ctx context.Context, sessionID string, limit int64) (int64, error) {
	dir := h.dir(sessionID)
	beside := kernel.DiskBeside(ctx, dir, diskOf)
	if beside > limit {
		return beside, nil
	}
	used, err := diskUse(ctx, filepath.Join(dir, "work"), limit-beside)
	return beside + used, err
}
