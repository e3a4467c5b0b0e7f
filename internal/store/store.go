// Package store keeps workgroups, sessions, calculations, executors and
// idempotency tokens in a SQL database. It decides no policy: the domain's
// moves say what may change, the store applies them by compare-and-set and
// keeps times in order.
//
// Statements are plain SQL: $1..$n, BIGINT epoch milliseconds, JSON as TEXT, row
// values for keyset paging. What differs between databases goes through a
// dialect; only the files sqlite*.go contain what is SQLite's.
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
	// unsynced is a second connection that writes. Its commits are in the file,
	// but a power failure may undo them: for data that is written again soon.
	unsynced *pool
	readers  *pool
	// turn holds one token while a transaction runs. Waiters get it first come,
	// first served; database/sql would pick one at random.
	turn chan struct{}
}

// Close waits for the running transaction and closes the database. The readers
// are closed first: the last connection that closes writes the write-ahead log
// into the file.
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
// and not the transaction, which takes a millisecond: a client that disconnects
// must not undo it halfway, or leave it unknown whether it was committed.
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
