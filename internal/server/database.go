package server

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/ergane-dev/ergane/internal/datadir"
	"github.com/ergane-dev/ergane/internal/store"
	"github.com/ergane-dev/ergane/internal/words"
)

// openStore opens the database of a server. A database of an earlier version
// cannot shrink: it is rewritten once, if the disk has room for two copies.
func openStore(ctx context.Context, dataDir string, log *slog.Logger) (*store.Store, error) {
	path := datadir.Database(dataDir)
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
	if err := store.RoomFor(path, 2); err != nil {
		log.Warn("the database does not shrink when sessions are removed, and the disk has too little room to rewrite it", "reason", err, "advice", "free some space, stop the server and run: ergane compact")
		return store.Open(ctx, path)
	}
	err = store.Compact(ctx, path, logProgress(log))
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	if err != nil {
		log.Warn("the database does not shrink when sessions are removed, and could not be compacted", "error", err, "advice", "stop the server and run: ergane compact")
	} else {
		log.Info("database compacted; it shrinks by itself from now on")
	}
	return store.Open(ctx, path)
}

const (
	// logAfter is how long a compaction may take before its progress is logged, logEvery how often then.
	logAfter = 2 * time.Second
	logEvery = 10 * time.Second
)

// logProgress logs the progress of a compaction that takes long.
func logProgress(log *slog.Logger) func(done, most int64) {
	next := time.Now().Add(logAfter)
	return func(done, most int64) {
		if now := time.Now(); now.After(next) {
			log.Info("compacting the database, so that it shrinks by itself from now on", "done", words.Percent(done, most), "of", words.Bytes(most))
			next = now.Add(logEvery)
		}
	}
}
