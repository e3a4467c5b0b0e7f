package store

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"

	"github.com/pressly/goose/v3"
)

// sqliteDialect is SQLite's dialect.
var sqliteDialect = dialect{
	driver:     "sqlite",
	migrations: goose.DialectSQLite3,
	join:       "CROSS JOIN",
	translate:  translate,
	reclaim:    reclaim,
}

// Open opens the SQLite database at path, creates it (mode 0600, in a folder of
// mode 0700) if it does not exist, and brings its schema up to date. It refuses
// a damaged database and one that a newer Ergane wrote, with errors that say so.
//
// Two processes must not have the same database open: the caller holds the lock
// of the data directory.
func Open(ctx context.Context, path string) (*Store, error) {
	s, err := open(ctx, path)
	if err != nil {
		return nil, fmt.Errorf("open database %s: %w", path, translate(err))
	}
	return s, nil
}

func open(ctx context.Context, path string) (*Store, error) {
	path, err := filepath.Abs(path) // connections are opened later, too
	if err != nil {
		return nil, err
	}
	if err := create(path); err != nil {
		return nil, err
	}
	if err := begin(ctx, path); err != nil {
		return nil, err
	}
	writer, err := openPool(path, 1, "_txlock=immediate")
	if err != nil {
		return nil, err
	}
	if err := migrate(ctx, writer); err != nil {
		return nil, errors.Join(err, writer.close())
	}
	unsynced, err := openPool(path, 1, "_txlock=immediate", "_pragma=synchronous(NORMAL)")
	if err != nil {
		return nil, errors.Join(err, writer.close())
	}
	readers, err := openPool(path, 4, "_pragma=query_only(1)")
	if err != nil {
		return nil, errors.Join(err, unsynced.close(), writer.close())
	}
	return &Store{writer: writer, unsynced: unsynced, readers: readers, turn: make(chan struct{}, 1)}, nil
}
