// Package store keeps workgroups, sessions, calculations, executors and
// idempotency tokens in a SQL database. It decides no policy: the domain's
// moves say what may change, the store applies them by compare-and-set and
// keeps times in order.
//
// Statements are plain SQL: $1..$n, BIGINT epoch milliseconds, JSON as TEXT, row
// values for keyset paging. What a kind of database does in its own way goes
// through a dialect, and only the files sqlite*.go know the one that there is.
package store

import (
	"context"
	"errors"

	"github.com/ergane-dev/ergane"
)

var _ ergane.Store = (*Store)(nil)

// Store implements ergane.Store. It is safe for concurrent use.
type Store struct {
	writer *pool // one connection: one transaction at a time
	// unsynced is one more connection of a writer's, whose commits are in the
	// file but may be undone by a power failure: for what nobody would miss.
	unsynced *pool
	readers  *pool
	// turn holds one token while a transaction runs. Waiters get it in the
	// order of their coming; database/sql would pick one at random.
	turn chan struct{}
}

// Close waits for what is running and closes the database. The readers go
// first: the last connection to leave folds the write-ahead log into the file.
func (s *Store) Close() error {
	s.turn <- struct{}{}
	defer func() { <-s.turn }()
	return s.writer.translate(errors.Join(s.readers.close(), s.unsynced.close(), s.writer.close()))
}

// Reclaim implements ergane.Store.
func (s *Store) Reclaim(ctx context.Context) (more bool, err error) {
	return s.writer.dialect.reclaim(ctx, s)
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
	return p.translate(p.transact(ctx, do))
}
