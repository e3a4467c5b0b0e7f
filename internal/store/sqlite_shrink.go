package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/ergane-dev/ergane"
	"github.com/ergane-dev/ergane/internal/durable"
	"github.com/ergane-dev/ergane/internal/words"
)

const (
	// reclaimAtOnce is how many pages, of 4 KiB, one Reclaim returns to the disk:
	// few enough that it does not delay other writes noticeably.
	reclaimAtOnce = 512
	// reusable is how many free pages stay in the file for new rows.
	reusable = 256
	// incremental is the value of SQLite's auto_vacuum with which a file can shrink.
	incremental = 2
	// reportEvery is how often Compact reports its progress.
	reportEvery = 500 * time.Millisecond
)

func scanInt(rows *sql.Rows) (n int64, err error) { return n, rows.Scan(&n) }

// Shrinks reports whether the database's file can become smaller by itself.
// One that an earlier version made cannot, until Compact has rewritten it.
func (s *Store) Shrinks(ctx context.Context) (bool, error) {
	mode, _, err := one(ctx, s.readers, scanInt, "PRAGMA auto_vacuum")
	return mode == incremental, err
}

// reclaim returns free pages of the file to the disk, a bounded number per call.
func reclaim(ctx context.Context, s *Store) (more bool, err error) {
	free, _, err := one(ctx, s.readers, scanInt, "PRAGMA freelist_count")
	if err != nil || free <= reusable {
		return false, err
	}
	if can, err := s.Shrinks(ctx); err != nil || !can {
		return false, err
	}
	part := min(free-reusable, reclaimAtOnce)
	err = s.write(ctx, func(ctx context.Context, t *tx) error {
		_, err := t.ExecContext(ctx, fmt.Sprintf("PRAGMA incremental_vacuum(%d)", part))
		return err
	})
	if err != nil {
		return false, err
	}
	if more = free-part > reusable; !more {
		// The file shrinks when the log is written into it. A reader may delay
		// that; then a later write does it.
		_, err = s.writer.db.ExecContext(context.WithoutCancel(ctx), "PRAGMA wal_checkpoint(PASSIVE)")
	}
	return more, translate(err)
}

// Compact rewrites the database at path into a new file that then replaces it.
// The new file has no free space and shrinks by itself from then on. It needs as
// much disk space as there is data. No process may have the database open
// meanwhile. progress, which may be nil, is called every half second with how
// many bytes are written, of at most how many; the goroutine that calls it has
// ended when Compact returns. On an error the database is unchanged.
func Compact(ctx context.Context, path string, progress func(done, most int64)) error {
	path, err := filepath.Abs(path)
	if err == nil {
		err = compact(ctx, path, progress)
	}
	if err != nil {
		return fmt.Errorf("compact database %s: %w", path, translate(err))
	}
	return nil
}

func compact(ctx context.Context, path string, progress func(done, most int64)) (err error) {
	was, err := os.Stat(path) // SQLite would create a missing one
	if err != nil {
		return err
	}
	rewritten := path + ".compact"
	if err := os.Remove(rewritten); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := create(rewritten); err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(rewritten))
		}
	}()
	source, err := openPool(path, 1, shrinking)
	if err != nil {
		return err
	}
	stop := watch(rewritten, was.Size(), progress)
	_, err = source.db.ExecContext(ctx, "VACUUM INTO $1", rewritten)
	stop()
	// The last connection that closes writes the log into the file and removes it.
	if err := errors.Join(err, source.close()); err != nil {
		return err
	}
	// A log of the old file would destroy the new one.
	if _, err := os.Stat(path + "-wal"); !errors.Is(err, fs.ErrNotExist) {
		return ergane.Errorf(ergane.CodeUnable, "another process has the database open")
	}
	if err := syncFile(rewritten); err != nil {
		return err
	}
	if err := os.Rename(rewritten, path); err != nil {
		return err
	}
	return durable.SyncFolder(filepath.Dir(path))
}

// watch reports how large a file is to progress, until stop is called.
func watch(path string, most int64, progress func(done, most int64)) (stop func()) {
	if progress == nil {
		return func() {}
	}
	stopping, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		tick := time.NewTicker(reportEvery)
		defer tick.Stop()
		for {
			select {
			case <-stopping:
				return
			case <-tick.C:
			}
			if info, err := os.Stat(path); err == nil {
				progress(min(info.Size(), most), most)
			}
		}
	}()
	return func() { close(stopping); <-stopped }
}

func syncFile(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// RoomFor fails if the disk has no space for times copies of the database at path.
func RoomFor(path string, times int64) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	free, err := durable.Free(filepath.Dir(path))
	if err != nil {
		return err
	}
	if need := times*info.Size() + 16<<20; free < need {
		return fmt.Errorf("it needs %s of disk space for a while, and %s are free", words.Bytes(need), words.Bytes(free))
	}
	return nil
}
