package store

import (
	"context"
	"database/sql"
	"time"

	"github.com/ergane-dev/ergane"
)

// purged is how many expired tokens a call with new ones removes: more than it
// adds, so that they never pile up, and few, so that it does not take long.
const purged = 32

type known struct{ hash, id string }

func scanKnown(rows *sql.Rows) (k known, err error) { return k, rows.Scan(&k.hash, &k.id) }

// redeem returns the id of what the first known one of the tokens created, or "".
func redeem(ctx context.Context, p preparer, tokens []ergane.Token, now time.Time) (string, error) {
	for _, k := range tokens {
		had, ok, err := one(ctx, p, scanKnown,
			"SELECT hash, resource_id FROM tokens WHERE scope = $1 AND value = $2 AND (until_ms IS NULL OR until_ms > $3)",
			k.Scope, k.Value, at(now))
		switch {
		case err != nil:
			return "", err
		case ok && had.hash != k.Hash:
			return "", ergane.ErrTokenMismatch()
		case ok:
			return had.id, nil
		}
	}
	return "", nil
}

// keep stores what the tokens created. redeem has found none of them, so rows
// that they still have are expired and are replaced.
func (t *tx) keep(ctx context.Context, tokens []ergane.Token, id string, now time.Time) error {
	for _, k := range tokens {
		if _, err := run(ctx, t, `INSERT INTO tokens (scope, value, hash, resource_id, until_ms) VALUES ($1, $2, $3, $4, $5)
			ON CONFLICT (scope, value) DO UPDATE SET hash = excluded.hash, resource_id = excluded.resource_id, until_ms = excluded.until_ms`,
			k.Scope, k.Value, k.Hash, id, at(k.Until)); err != nil {
			return err
		}
	}
	if len(tokens) == 0 {
		return nil
	}
	return t.removeTokens(ctx, now, purged)
}

// removeTokens removes at most so many of the tokens that are expired at the time now.
func (t *tx) removeTokens(ctx context.Context, now time.Time, most int) error {
	_, err := run(ctx, t, `DELETE FROM tokens WHERE (scope, value) IN
		(SELECT scope, value FROM tokens WHERE until_ms <= $1 ORDER BY until_ms LIMIT $2)`, at(now), most)
	return err
}
