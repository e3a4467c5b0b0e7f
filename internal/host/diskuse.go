package host

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"

	"github.com/ergane-dev/ergane/internal/kernel"
	"github.com/ergane-dev/ergane/internal/session"
	"github.com/ergane-dev/ergane/internal/tree"
)

// DiskUse is how many bytes of disk a session's files use, including deleted files
// that are still open. Beyond limit it stops counting.
func (h *Host) DiskUse(ctx context.Context, sessionID string, limit int64) (int64, error) {
	dir := h.dir(sessionID)
	beside := kernel.DiskBeside(ctx, dir, tree.Size)
	if beside > limit {
		return beside, nil
	}
	used, err := tree.Use(ctx, filepath.Join(dir, "work"), limit-beside)
	if errors.Is(err, tree.ErrLost) {
		err = fmt.Errorf("%w: %w", session.ErrUnmeasurable, err)
	}
	return beside + used, err
}
