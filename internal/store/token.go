package store

import (
	"context"
	"database/sql"
	"time"

	"github.com/ergane-dev/ergane"
)

// purged is how many forgotten tokens a call that brings new ones clears away:
// more than it brings, so that they never pile up, and few, so that nobody waits.
const purged = 32

type memory struct{ hash, id string }

func scanMemory(rows *sql.Rows) (m memory, err error) { return m, rows.Scan(&m.hash, &m.id) }

// redeem returns the id of what the first known one of the tokens made, or "".
func redeem(ctx context.Context, p preparer, tokens []ergane.Token, now time.Time) (string, error) {
	for _, k := range tokens {
		m, ok, err := one(ctx, p, scanMemory,
			"SELECT hash, resource_id FROM tokens WHERE scope = $1 AND value = $2 AND (until_ms IS NULL OR until_ms > $3)",
			k.Scope, k.Value, at(now))
		switch {
		case err != nil:
			return "", err
		case ok && m.hash != k.Hash:
			return "", ergane.ErrTokenMismatch()
		case ok:
			return m.id, nil
		}
	}
	return "", nil
}

// keep remembers what the tokens made. redeem has found none of them: what is
// still there of them is forgotten and gets replaced.
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
	return t.forgetTokens(ctx, now, purged)
}

// forgetTokens clears away so many of the tokens that are forgotten by then.
func (t *tx) forgetTokens(ctx context.Context, now time.Time, most int) error {
	_, err := run(ctx, t, `DELETE FROM tokens WHERE (scope, value) IN
		(SELECT scope, value FROM tokens WHERE until_ms <= $1 ORDER BY until_ms LIMIT $2)`, at(now), most)
	return err
}
