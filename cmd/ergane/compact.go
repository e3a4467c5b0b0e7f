package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/ergane-dev/ergane/internal/datadir"
	"github.com/ergane-dev/ergane/internal/flock"
	"github.com/ergane-dev/ergane/internal/store"
	"github.com/ergane-dev/ergane/internal/words"
)

type compactCmd struct {
	dirs
}

// Help is the long help text.
func (compactCmd) Help() string {
	return "Rewrites the database without the space that removed sessions left; from then on it shrinks by itself. serve does that once with a database of an earlier version, if the disk has room. " +
		"No server may run on the data folder meanwhile; sessions may."
}

// Run rewrites the database of a data folder on which no server runs.
func (c *compactCmd) Run(ctx context.Context) error {
	if err := c.resolve(); err != nil {
		return err
	}
	path := datadir.Database(c.DataDir)
	was, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("there is no database in %s; name the data folder with --data-dir", c.DataDir)
	}
	if err != nil {
		return err
	}
	lock, err := flock.Acquire(datadir.Lock(c.DataDir))
	if errors.Is(err, flock.ErrHeld) {
		return fmt.Errorf("a server runs on %s%s; stop it first: its sessions go on meanwhile", c.DataDir, datadir.ServedBy(c.DataDir))
	}
	if err != nil {
		return err
	}
	defer lock.Release()
	if st, err := store.Open(ctx, path); err != nil { // a database of a newer version, or a damaged one, is not touched
		return err
	} else if err := st.Close(); err != nil {
		return err
	}
	if err := store.RoomFor(path, 1); err != nil {
		return fmt.Errorf("compact database %s: %w", path, err)
	}
	say := newSpeaker(os.Stderr)
	err = store.Compact(ctx, path, func(done, most int64) { say.progress("compacting the database", words.Percent(done, most)) })
	say.done()
	if err != nil {
		return interrupted(ctx, err)
	}
	now, err := os.Stat(path)
	if err != nil {
		return err
	}
	say.say("%s: %s became %s", path, words.Bytes(was.Size()), words.Bytes(now.Size()))
	return nil
}
