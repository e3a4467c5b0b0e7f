package store

import (
	"context"
	"math"
	"time"

	"github.com/ergane-dev/ergane"
)

// settled is the condition of a session that has ended and has no pending delivery.
const settled = "ended_ms < $2 AND NOT EXISTS (SELECT 1 FROM calculations WHERE session_id = sessions.id AND undelivered IS NOT NULL)"

// Expired implements ergane.Store.
func (s *Store) Expired(ctx context.Context, workgroup string, before time.Time, p ergane.Page) ([]ergane.Session, error) {
	after := int64(math.MinInt64)
	if p.After != (ergane.Key{}) {
		after = p.After.At.UnixMilli()
	}
	return all(ctx, s.readers, scanSession, "SELECT "+sessionColumns+" FROM sessions WHERE workgroup = $1 AND "+settled+
		" AND (ended_ms, id) > ($3, $4) ORDER BY ended_ms, id LIMIT $5", workgroup, at(before), after, p.After.ID, p.Limit)
}

// Expire implements ergane.Store.
func (s *Store) Expire(ctx context.Context, ids []string, before time.Time) (gone, left []string, err error) {
	err = s.write(ctx, func(ctx context.Context, t *tx) error {
		gone, left = nil, nil
		room := purgeAtOnce
		for i, id := range ids {
			_, ok, err := one(ctx, t, scanString, "SELECT id FROM sessions WHERE id = $1 AND "+settled, id, at(before))
			if err != nil {
				return err
			}
			if !ok {
				continue
			}
			if room > 0 {
				room, err = t.purgeSession(ctx, id, room)
			}
			if err != nil {
				return err
			}
			if room <= 0 {
				left = ids[i:]
				break
			}
			gone, room = append(gone, id), room-1
		}
		return t.removeTokens(ctx, before, purgeAtOnce)
	})
	if err != nil {
		return nil, nil, err
	}
	return gone, left, nil
}
