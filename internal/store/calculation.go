package store

import (
	"cmp"
	"context"
	"database/sql"
	"slices"
	"strings"

	"github.com/ergane-dev/ergane"
)

const calculationColumns = "id, session_id, description, working_directory, state, reason, " +
	"submitted_ms, started_ms, completed_ms, dpu_ms, progress, result"

// A list returns only what the wire shape CalculationSummary has: to read results, too, would take a fifth of the time.
var calculations = listing{table: "calculations", columns: strings.TrimSuffix(calculationColumns, "result") + "NULL", owner: "session_id", time: "submitted_ms"}

// fields are where a row of calculationColumns goes.
func fields(c *ergane.Calculation) []any {
	return []any{&c.ID, &c.SessionID, &c.Description, &c.WorkingDirectory, &c.Status.State, &c.Status.Reason,
		millis{&c.Status.SubmittedAt}, millis{&c.Status.StartedAt}, millis{&c.Status.CompletedAt},
		&c.Statistics.DpuMillis, &c.Statistics.Progress, document{&c.Result}}
}

func scanCalculation(rows *sql.Rows) (c ergane.Calculation, err error) {
	return c, rows.Scan(fields(&c)...)
}

func scanCalculationAndCode(rows *sql.Rows) (c ergane.Calculation, err error) {
	return c, rows.Scan(append(fields(&c), &c.Code)...)
}

func calculation(ctx context.Context, p preparer, id string) (ergane.Calculation, error) {
	c, ok, err := one(ctx, p, scanCalculation, "SELECT "+calculationColumns+" FROM calculations WHERE id = $1", id)
	if err == nil && !ok {
		err = ergane.ErrCalculationNotFound(id)
	}
	return c, err
}

// Submit implements ergane.Store.
func (s *Store) Submit(ctx context.Context, c ergane.Calculation, tokens []ergane.Token) (made ergane.Calculation, created bool, err error) {
	err = s.write(ctx, func(ctx context.Context, t *tx) error {
		now := c.Status.SubmittedAt
		id, err := redeem(ctx, t, tokens, now)
		if err != nil {
			return err
		}
		if created = id == ""; !created {
			made, err = calculation(ctx, t, id)
			return err
		}
		if err := t.openFor(ctx, c.SessionID); err != nil {
			return err
		}
		taken, moved, err := t.moveSession(ctx, ergane.SessionTaken(c.SessionID, now))
		if err != nil {
			return err
		}
		if !moved {
			return ergane.ErrSessionState(taken.Status.State)
		}
		// The session's clock never runs backwards, so neither do its submissions.
		c.Status = ergane.CalculationStatus{SubmittedAt: taken.Status.ModifiedAt}
		if made, err = t.insertCalculation(ctx, c); err != nil {
			return err
		}
		return t.keep(ctx, tokens, c.ID, now)
	})
	if err != nil {
		return ergane.Calculation{}, false, err
	}
	return made, created, nil
}

func (t *tx) insertCalculation(ctx context.Context, c ergane.Calculation) (ergane.Calculation, error) {
	made, _, err := one(ctx, t, scanCalculation, "INSERT INTO calculations ("+calculationColumns+`)
		VALUES ($1, $2, $3, $4, $5, '', $6, NULL, NULL, 0, '', NULL) RETURNING `+calculationColumns,
		c.ID, c.SessionID, c.Description, c.WorkingDirectory, string(ergane.CalculationCreating), at(c.Status.SubmittedAt))
	if err != nil {
		return made, err
	}
	made.Code = c.Code
	_, err = run(ctx, t, "INSERT INTO codes (calculation_id, code) VALUES ($1, $2)", c.ID, []byte(c.Code))
	return made, err
}

// Calculation implements ergane.Store.
func (s *Store) Calculation(ctx context.Context, id string) (ergane.Calculation, error) {
	return calculation(ctx, s.readers, id)
}

// CalculationCode implements ergane.Store.
func (s *Store) CalculationCode(ctx context.Context, id string) (string, error) {
	code, ok, err := one(ctx, s.readers, scanString, "SELECT code FROM codes WHERE calculation_id = $1", id)
	if err == nil && !ok {
		err = ergane.ErrCalculationNotFound(id)
	}
	return code, err
}

// Calculations implements ergane.Store.
func (s *Store) Calculations(ctx context.Context, sessionID string, states []ergane.CalculationState, p ergane.Page) ([]ergane.Calculation, error) {
	text, args := page(calculations, sessionID, states, p)
	found, err := all(ctx, s.readers, scanCalculation, text, args...)
	if err == nil && len(found) == 0 {
		_, err = s.Session(ctx, sessionID)
	}
	return found, err
}

// openStates are those that OpenCalculations shows.
var openStates = []ergane.CalculationState{ergane.CalculationCreating, ergane.CalculationCreated,
	ergane.CalculationQueued, ergane.CalculationRunning, ergane.CalculationCanceling}

// OpenCalculations implements ergane.Store.
func (s *Store) OpenCalculations(ctx context.Context, sessionID string) ([]ergane.Calculation, error) {
	found, err := all(ctx, s.readers, scanCalculationAndCode, "SELECT "+calculationColumns+`, code
		FROM calculations JOIN codes ON calculation_id = id
		WHERE session_id = $1 AND state IN (`+placeholders(2, len(openStates))+")", with([]any{sessionID}, openStates)...)
	if err == nil && len(found) == 0 {
		_, err = s.Session(ctx, sessionID)
	}
	// One or a few, in the order of the index by state.
	slices.SortFunc(found, func(a, b ergane.Calculation) int {
		return cmp.Or(a.Status.SubmittedAt.Compare(b.Status.SubmittedAt), cmp.Compare(a.ID, b.ID))
	})
	return found, err
}
