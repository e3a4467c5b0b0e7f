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

// openStore opens the database of a server. One that an earlier version made
// cannot shrink: it is rewritten once, if that leaves as much space again.
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
		log.Warn("the database does not shrink when sessions are removed, and there is not enough space to change that", "reason", err, "advice", "make space, stop the server and run: ergane compact")
		return store.Open(ctx, path)
	}
	err = store.Compact(ctx, path, patient(log))
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
	// tellAfter is how long a compaction may take before it is logged, tellEvery how often then.
	tellAfter = 2 * time.Second
	tellEvery = 10 * time.Second
)

// patient logs the progress of a compaction that takes long.
func patient(log *slog.Logger) func(done, most int64) {
	next := time.Now().Add(tellAfter)
	return func(done, most int64) {
		if now := time.Now(); now.After(next) {
			log.Info("compacting the database, so that it shrinks by itself from now on", "done", words.Percent(done, most), "of", words.Bytes(most))
			next = now.Add(tellEvery)
		}
	}
}
