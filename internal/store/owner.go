package store

import (
	"context"
	"time"

	"github.com/ergane-dev/ergane"
)

// unowned is the condition of a live session that server $1 may take over at
// the time $2. Its first part is that of the partial index, to the letter.
const unowned = `state NOT IN ('TERMINATED', 'FAILED') AND owner <> $1
	AND NOT EXISTS (SELECT 1 FROM servers WHERE servers.id = sessions.owner AND lease_ms > $2)`

// RenewLease implements ergane.Store.
func (s *Store) RenewLease(ctx context.Context, server string, until time.Time) error {
	return s.writeOn(ctx, s.unsynced, func(ctx context.Context, t *tx) error {
		_, err := run(ctx, t, `INSERT INTO servers (id, lease_ms) VALUES ($1, $2)
			ON CONFLICT (id) DO UPDATE SET lease_ms = excluded.lease_ms`, server, at(until))
		return err
	})
}

// TakeOver implements ergane.Store.
func (s *Store) TakeOver(ctx context.Context, server string, now time.Time) ([]ergane.Session, error) {
	// Usually there are none; then nothing is written.
	ids, err := all(ctx, s.readers, scanString, "SELECT id FROM sessions WHERE "+unowned+" ORDER BY started_ms, id", server, at(now))
	if err != nil || len(ids) == 0 {
		return nil, err
	}
	var taken []ergane.Session
	err = s.write(ctx, func(ctx context.Context, t *tx) error {
		taken = nil
		for _, id := range ids {
			n, moved, err := one(ctx, t, scanSession, "UPDATE sessions SET owner = $1 WHERE id = $3 AND "+unowned+" RETURNING "+sessionColumns,
				server, at(now), id)
			if err != nil {
				return err
			}
			if moved {
				taken = append(taken, n)
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return taken, nil
}
