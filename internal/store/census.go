package store

import (
	"context"
	"database/sql"

	"github.com/ergane-dev/ergane"
)

// Census counts the sessions and calculations that have not ended. It reads
// only their rows, however many have ended.
func (s *Store) Census(ctx context.Context) (ergane.Census, error) {
	c := ergane.Census{Sessions: map[ergane.SessionState]int{}, Calculations: map[ergane.CalculationState]int{}}
	// The conditions are those of the partial indices, to the letter; the order
	// keeps the database from scanning another index, which has all sessions.
	sessions, err := all(ctx, s.readers, scanString,
		"SELECT state FROM sessions WHERE state NOT IN ('TERMINATED', 'FAILED') ORDER BY started_ms, id")
	if err != nil {
		return c, err
	}
	for _, state := range sessions {
		c.Sessions[ergane.SessionState(state)]++
	}
	// From the few live sessions to their calculations: an open calculation
	// always belongs to a live session.
	calculations, err := all(ctx, s.readers, scanString,
		`SELECT calculations.state FROM sessions `+s.readers.dialect.join+` calculations
			ON calculations.session_id = sessions.id AND calculations.state IN ('CREATING', 'RUNNING', 'CANCELING')
			WHERE sessions.state NOT IN ('TERMINATED', 'FAILED') ORDER BY sessions.started_ms, sessions.id`)
	if err != nil {
		return c, err
	}
	for _, state := range calculations {
		c.Calculations[ergane.CalculationState(state)]++
	}
	count := func(rows *sql.Rows) (n int, err error) { return n, rows.Scan(&n) }
	c.PendingDeliveries, _, err = one(ctx, s.readers, count, "SELECT count(*) FROM calculations WHERE undelivered IS NOT NULL")
	return c, err
}
