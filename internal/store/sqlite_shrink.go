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
	// reclaimAtOnce is how many pages, of 4 KiB, one Reclaim gives back: few
	// enough that nobody who waits for the writer notices.
	reclaimAtOnce = 512
	// reusable is how many free pages stay in the file for what is to come.
	reusable = 256
	// incremental is the value of SQLite's auto_vacuum with which a file can give pages back.
	incremental = 2
	// lookEvery is how often Compact tells how far it is.
	lookEvery = 500 * time.Millisecond
)

func scanInt(rows *sql.Rows) (n int64, err error) { return n, rows.Scan(&n) }

// Shrinks reports whether the database's file can become smaller by itself.
// One that an earlier version made cannot, until Compact has written it anew.
func (s *Store) Shrinks(ctx context.Context) (bool, error) {
	mode, _, err := one(ctx, s.readers, scanInt, "PRAGMA auto_vacuum")
	return mode == incremental, err
}

// reclaim gives free pages of the file back to the disk, some at a time.
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
		// The file shrinks when the log is folded into it. Somebody who reads may
		// hold that up; then a later write does it.
		_, err = s.writer.db.ExecContext(context.WithoutCancel(ctx), "PRAGMA wal_checkpoint(PASSIVE)")
	}
	return more, translate(err)
}

// Compact writes the database at path anew, into a file beside it that then
// takes its place: without free space, and so that it shrinks by itself from
// then on. It needs as much room as there is data. Nobody may have the database
// open meanwhile. progress, which may be nil, is told now and then how many
// bytes are written, of at most how many; it comes from a goroutine that has
// ended when Compact returns. Whatever goes wrong, the database is what it was.
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
	was, err := os.Stat(path) // else SQLite would make one
	if err != nil {
		return err
	}
	anew := path + ".compact"
	if err := os.Remove(anew); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := create(anew); err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(anew))
		}
	}()
	source, err := openPool(path, 1, shrinking)
	if err != nil {
		return err
	}
	stop := watch(anew, was.Size(), progress)
	_, err = source.db.ExecContext(ctx, "VACUUM INTO $1", anew)
	stop()
	// The last one to leave folds the log into the file, and removes the log.
	if err := errors.Join(err, source.close()); err != nil {
		return err
	}
	// Beside the new file, a log of the old one would destroy it.
	if _, err := os.Stat(path + "-wal"); !errors.Is(err, fs.ErrNotExist) {
		return ergane.Errorf(ergane.CodeUnable, "another process has the database open")
	}
	if err := syncFile(anew); err != nil {
		return err
	}
	if err := os.Rename(anew, path); err != nil {
		return err
	}
	return durable.SyncFolder(filepath.Dir(path))
}

// watch tells progress how large a file is, until the function that it returns is called.
func watch(path string, most int64, progress func(done, most int64)) (stop func()) {
	if progress == nil {
		return func() {}
	}
	over, gone := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(gone)
		tick := time.NewTicker(lookEvery)
		defer tick.Stop()
		for {
			select {
			case <-over:
				return
			case <-tick.C:
			}
			if info, err := os.Stat(path); err == nil {
				progress(min(info.Size(), most), most)
			}
		}
	}()
	return func() { close(over); <-gone }
}

func syncFile(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// RoomFor refuses where the disk has no room for so many times the database at path.
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
		return fmt.Errorf("it takes %s of the disk for a while, and %s are free", words.Bytes(need), words.Bytes(free))
	}
	return nil
}
