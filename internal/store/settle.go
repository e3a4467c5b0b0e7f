package store

import (
	"context"
	"database/sql"
	"errors"

	"github.com/ergane-dev/ergane"
)

// MoveCalculation implements ergane.Store.
func (s *Store) MoveCalculation(ctx context.Context, m ergane.CalculationMove) (now ergane.Calculation, moved bool, err error) {
	err = s.write(ctx, func(ctx context.Context, t *tx) error {
		now, moved, err = t.moveCalculation(ctx, m)
		return err
	})
	if err != nil {
		return ergane.Calculation{}, false, err
	}
	return now, moved, nil
}

// Settle implements ergane.Store.
func (s *Store) Settle(ctx context.Context, c ergane.CalculationMove, m ergane.SessionMove) (calc ergane.Calculation, sess ergane.Session, moved bool, err error) {
	err = s.write(ctx, func(ctx context.Context, t *tx) error {
		calc, moved, err = t.moveCalculation(ctx, c)
		switch {
		case err != nil:
			return err
		case calc.SessionID != m.ID:
			return errors.New("settle: the calculation is of another session")
		case !moved:
			sess, err = session(ctx, t, m.ID)
			return err
		}
		sess, _, err = t.moveSession(ctx, m)
		return err
	})
	if err != nil {
		return ergane.Calculation{}, ergane.Session{}, false, err
	}
	return calc, sess, moved, nil
}

// moveCalculation is the compare-and-set. A calculation's DpuMillis are added to
// its session's when it ends, which happens once.
func (t *tx) moveCalculation(ctx context.Context, m ergane.CalculationMove) (ergane.Calculation, bool, error) {
	const (
		ended   = "$2 IN ('COMPLETED', 'FAILED', 'CANCELED')"
		started = "COALESCE(started_ms, CASE WHEN $5 < submitted_ms THEN submitted_ms ELSE $5 END)"
		begin   = "COALESCE(" + started + ", submitted_ms)" // the earliest end
	)
	var result any // nil is NULL: no result yet
	if m.Result != nil {
		result = document{m.Result}
	}
	var undelivered any // nil is NULL: nothing is pending
	if m.Undelivered != nil && m.Result == nil {
		undelivered = document{m.Undelivered}
	}
	args := with([]any{m.ID, string(m.To), m.Reason, at(m.At), at(m.StartedAt), m.DpuMillis, m.Progress, result, undelivered}, m.From)
	now, moved, err := one(ctx, t, scanCalculation, `UPDATE calculations SET
			state = $2,
			reason = CASE WHEN $2 = 'CANCELED' AND $3 = '' THEN reason ELSE $3 END,
			started_ms = `+started+`,
			completed_ms = CASE WHEN `+ended+` THEN CASE WHEN $4 < `+begin+` THEN `+begin+` ELSE $4 END END,
			dpu_ms = CASE WHEN $6 < dpu_ms THEN dpu_ms ELSE $6 END,
			progress = CASE WHEN $7 = '' THEN progress ELSE $7 END,
			result = $8,
			undelivered = $9
		WHERE id = $1 AND state IN (`+placeholders(10, len(m.From))+`)
		RETURNING `+calculationColumns, args...)
	switch {
	case err != nil:
		return now, false, err
	case !moved:
		now, err = calculation(ctx, t, m.ID)
		return now, false, err
	case now.Status.State.Terminal():
		_, err = run(ctx, t, "UPDATE sessions SET dpu_ms = dpu_ms + $2 WHERE id = $1", now.SessionID, now.Statistics.DpuMillis)
	}
	return now, true, err
}

// RecordDelivery implements ergane.Store.
func (s *Store) RecordDelivery(ctx context.Context, id string, r ergane.CalculationResult) error {
	return s.write(ctx, func(ctx context.Context, t *tx) error {
		return t.amend(ctx, id, `UPDATE calculations SET result = $2, undelivered = NULL
			WHERE id = $1 AND result IS NULL AND state IN ('COMPLETED', 'FAILED', 'CANCELED')`, document{r})
	})
}

// PendingDeliveries implements ergane.Store.
func (s *Store) PendingDeliveries(ctx context.Context) ([]ergane.PendingDelivery, error) {
	scan := func(rows *sql.Rows) (d ergane.PendingDelivery, err error) {
		return d, rows.Scan(append(fields(&d.Calculation), document{&d.Undelivered})...)
	}
	return all(ctx, s.readers, scan, "SELECT "+calculationColumns+", undelivered FROM calculations WHERE undelivered IS NOT NULL ORDER BY session_id, completed_ms, id")
}

// HasPendingDelivery implements ergane.Store.
func (s *Store) HasPendingDelivery(ctx context.Context, sessionID string) (bool, error) {
	_, some, err := one(ctx, s.readers, scanString, "SELECT id FROM calculations WHERE session_id = $1 AND undelivered IS NOT NULL LIMIT 1", sessionID)
	return some, err
}

// DiscardDelivery implements ergane.Store.
func (s *Store) DiscardDelivery(ctx context.Context, id, reason string) error {
	return s.write(ctx, func(ctx context.Context, t *tx) error {
		return t.amend(ctx, id, "UPDATE calculations SET undelivered = NULL, reason = $2 WHERE id = $1 AND undelivered IS NOT NULL", reason)
	})
}

// SetProgress implements ergane.Store.
func (s *Store) SetProgress(ctx context.Context, all map[string]ergane.CalculationStatistics) error {
	return s.writeOn(ctx, s.unsynced, func(ctx context.Context, t *tx) error {
		for id, p := range all {
			_, err := run(ctx, t, `UPDATE calculations SET progress = $2, dpu_ms = CASE WHEN $3 < dpu_ms THEN dpu_ms ELSE $3 END
				WHERE id = $1 AND state NOT IN ('COMPLETED', 'FAILED', 'CANCELED')`, id, p.Progress, p.DpuMillis)
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// amend updates a calculation on a condition; only an unknown id is an error.
func (t *tx) amend(ctx context.Context, id, text string, args ...any) error {
	n, err := run(ctx, t, text, append([]any{id}, args...)...)
	if err == nil && n == 0 {
		_, err = calculation(ctx, t, id)
	}
	return err
}
