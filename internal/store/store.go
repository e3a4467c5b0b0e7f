// Package store keeps workgroups, sessions, calculations, executors and
// idempotency tokens in a SQL database. It decides no policy: the domain's
// moves say what may change, the store applies them by compare-and-set and
// keeps times in order.
//
// Every statement is one text for SQLite and PostgreSQL: $1..$n, BIGINT epoch
// milliseconds, JSON as TEXT, row values for keyset paging.
package store

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"

	"github.com/ergane-dev/ergane"
)

var _ ergane.Store = (*Store)(nil)

// Store implements ergane.Store. It is safe for concurrent use.
type Store struct {
	writer *pool // one connection: SQLite has one writer
	// unsynced is one more connection of a writer's, whose commits are in the
	// file but may be undone by a power failure: for what nobody would miss.
	unsynced *pool
	readers  *pool
	// turn holds one token while a transaction runs. Waiters get it in the
	// order of their coming; database/sql would pick one at random.
	turn chan struct{}
}

// Open opens the SQLite database at path, makes it (mode 0600, in a folder of
// mode 0700) if it is not there, and brings its schema up to date. It refuses
// a damaged database and one that a newer Ergane wrote, saying so.
//
// Two processes must not have the same database open: the caller's lock on
// the data directory sees to that.
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
	if err := migrate(ctx, writer.db); err != nil {
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

// Close waits for what is running and closes the database. The readers go
// first: the last connection to leave folds the write-ahead log into the file.
func (s *Store) Close() error {
	s.turn <- struct{}{}
	defer func() { <-s.turn }()
	return translate(errors.Join(s.readers.close(), s.unsynced.close(), s.writer.close()))
}

// write runs do in one transaction. The context bounds the wait for the turn
// and not the transaction: a client that goes away must not undo half-way
// what takes a millisecond, or leave it open whether it happened.
func (s *Store) write(ctx context.Context, do func(context.Context, *tx) error) error {
	return s.writeOn(ctx, s.writer, do)
}

func (s *Store) writeOn(ctx context.Context, p *pool, do func(context.Context, *tx) error) error {
	select {
	case s.turn <- struct{}{}:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	defer func() { <-s.turn }()
	if ctx.Err() != nil { // both were ready
		return context.Cause(ctx)
	}
	ctx = context.WithoutCancel(ctx)
	return translate(p.transact(ctx, do))
}
