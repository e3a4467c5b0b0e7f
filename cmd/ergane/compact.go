package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ergane-dev/ergane/internal/flock"
	"github.com/ergane-dev/ergane/internal/store"
)

type compactCmd struct {
	dirs
}

// Help is the long help text.
func (compactCmd) Help() string {
	return "The database is written anew, without the space that removed sessions left, and shrinks by itself from then on. serve does that once with a database of an earlier version, where the disk has room. " +
		"No server may run on the data folder meanwhile; sessions may."
}

// Run writes the database of a data folder anew, while no server has it.
func (c *compactCmd) Run(ctx context.Context) error {
	if err := c.resolve(); err != nil {
		return err
	}
	path := databasePath(c.DataDir)
	was, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("there is no database in %s; name the data folder with --data-dir", c.DataDir)
	}
	if err != nil {
		return err
	}
	lock, err := flock.Acquire(lockPath(c.DataDir))
	if errors.Is(err, flock.ErrHeld) {
		return fmt.Errorf("a server runs on %s%s; stop it first: sessions live on meanwhile", c.DataDir, servedBy(c.DataDir))
	}
	if err != nil {
		return err
	}
	defer lock.Release()
	if st, err := store.Open(ctx, path); err != nil { // one of a newer version, or a damaged one, is left alone
		return err
	} else if err := st.Close(); err != nil {
		return err
	}
	if err := roomFor(path, 1); err != nil {
		return fmt.Errorf("compact database %s: %w", path, err)
	}
	say := newSpeaker(os.Stderr)
	err = store.Compact(ctx, path, func(done, most int64) { say.progress("compacting the database", percent(done, most)) })
	say.done()
	if err != nil {
		return interrupted(ctx, err)
	}
	now, err := os.Stat(path)
	if err != nil {
		return err
	}
	say.say("%s: %s became %s", path, size(was.Size()), size(now.Size()))
	return nil
}

func databasePath(dataDir string) string { return filepath.Join(dataDir, "ergane.db") }

func percent(done, most int64) string { return fmt.Sprintf("%d %%", 100*done/max(most, 1)) }

// roomFor refuses where the disk has no room for so many times the database at path.
func roomFor(path string, times int64) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	free, err := freeSpace(filepath.Dir(path))
	if err != nil {
		return err
	}
	if need := times*info.Size() + 16<<20; free < need {
		return fmt.Errorf("it takes %s of the disk for a while, and %s are free", size(need), size(free))
	}
	return nil
}

// freeSpace is how many bytes of a folder's disk this user may still take.
func freeSpace(dir string) (int64, error) {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return 0, fmt.Errorf("look at the disk of %s: %w", dir, err)
	}
	return int64(st.Bavail) * int64(st.Bsize), nil
}

// openStore opens the database of a server. One that an earlier version made
// cannot shrink: it is written anew once, where that leaves as much room again.
func openStore(ctx context.Context, dataDir string, log *slog.Logger) (*store.Store, error) {
	path := databasePath(dataDir)
	st, err := store.Open(ctx, path)
	if err != nil {
		return nil, err
	}
	shrinks, err := st.Shrinks(ctx)
	if shrinks {
		return st, nil
	}
	if err := errors.Join(err, st.Close()); err != nil {
		return nil, err
	}
	if err := roomFor(path, 2); err != nil {
		log.Warn("the database does not shrink when sessions go, and there is no room to change that", "reason", err, "advice", "make room, stop the server and run: ergane compact")
		return store.Open(ctx, path)
	}
	err = store.Compact(ctx, path, patient(log))
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	if err != nil {
		log.Warn("the database does not shrink when sessions go, and could not be compacted", "error", err, "advice", "stop the server and run: ergane compact")
	} else {
		log.Info("database compacted; it shrinks by itself from now on")
	}
	return store.Open(ctx, path)
}

const (
	// tellAfter is how long a compaction may take before it is told, tellEvery how often then.
	tellAfter = 2 * time.Second
	tellEvery = 10 * time.Second
)

// patient tells how far a compaction is that takes long.
func patient(log *slog.Logger) func(done, most int64) {
	next := time.Now().Add(tellAfter)
	return func(done, most int64) {
		if now := time.Now(); now.After(next) {
			log.Info("compacting the database, so that it shrinks by itself from now on", "done", percent(done, most), "of", size(most))
			next = now.Add(tellEvery)
		}
	}
}
