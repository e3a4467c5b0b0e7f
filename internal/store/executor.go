package store

import (
	"context"
	"database/sql"
	"time"

	"github.com/ergane-dev/ergane"
)

const executorColumns = "id, session_id, name, type, state, size, started_ms, terminated_ms"

var executors = listing{table: "executors", columns: executorColumns, owner: "session_id", time: "started_ms"}

func scanExecutor(rows *sql.Rows) (e ergane.Executor, err error) {
	err = rows.Scan(&e.ID, &e.SessionID, &e.Name, &e.Type, &e.State, &e.Size, millis{&e.StartedAt}, millis{&e.TerminatedAt})
	return e, err
}

// SaveExecutors implements ergane.Store.
func (s *Store) SaveExecutors(ctx context.Context, es []ergane.Executor) error {
	return s.write(ctx, func(ctx context.Context, t *tx) error {
		known := map[string]ergane.Session{}
		for _, e := range es {
			owner, ok := known[e.SessionID]
			if !ok {
				var err error
				if owner, err = session(ctx, t, e.SessionID); err != nil {
					return err
				}
				known[e.SessionID] = owner
			}
			if err := t.saveExecutor(ctx, within(e, owner.Status)); err != nil {
				return err
			}
		}
		return nil
	})
}

// within fits an observed executor to its session: it does not start earlier,
// it ends no later, and it is TERMINATING if its session is.
func within(e ergane.Executor, s ergane.SessionStatus) ergane.Executor {
	switch {
	case s.State.Ended() && !e.State.Ended():
		e.State, e.TerminatedAt = ergane.ExecutorTerminated, s.EndedAt
	case s.State == ergane.SessionTerminating && !e.State.Ended():
		e.State = ergane.ExecutorTerminating
	}
	if s.State.Ended() {
		e.StartedAt, e.TerminatedAt = sooner(e.StartedAt, s.EndedAt), sooner(e.TerminatedAt, s.EndedAt)
	}
	e.StartedAt = later(e.StartedAt, s.StartedAt)
	switch {
	case !e.State.Ended():
		e.TerminatedAt = time.Time{}
	case !e.TerminatedAt.IsZero():
		e.TerminatedAt = later(e.TerminatedAt, e.StartedAt)
	}
	return e
}

func later(a, b time.Time) time.Time {
	if a.Before(b) {
		return b
	}
	return a
}

func sooner(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

// saveExecutor inserts an executor, or moves it along an edge. For an unchanged
// one nothing is written: they are saved every few seconds and rarely change.
func (t *tx) saveExecutor(ctx context.Context, e ergane.Executor) error {
	from := ergane.Sources(ergane.ExecutorEdges, e.State)
	if !e.State.Ended() {
		from = append(from, e.State)
	}
	args := with([]any{e.ID, e.SessionID, e.Name, string(e.Type), string(e.State), e.Size, at(e.StartedAt), at(e.TerminatedAt)}, from)
	_, err := run(ctx, t, "INSERT INTO executors ("+executorColumns+`) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
		ON CONFLICT (id) DO UPDATE SET state = excluded.state, size = excluded.size, terminated_ms =
			CASE WHEN excluded.terminated_ms < executors.started_ms THEN executors.started_ms ELSE excluded.terminated_ms END
		WHERE executors.state IN (`+placeholders(9, len(from))+`)
			AND (executors.state <> excluded.state OR executors.size <> excluded.size)`, args...)
	return err
}

// EndExecutors implements ergane.Store.
func (s *Store) EndExecutors(ctx context.Context, sessionID string, to ergane.ExecutorState, end time.Time) error {
	if !to.Ended() {
		return ergane.Errorf(ergane.CodeInternal, "%s is not the end of an executor", to)
	}
	return s.write(ctx, func(ctx context.Context, t *tx) error {
		if _, err := session(ctx, t, sessionID); err != nil {
			return err
		}
		return t.endExecutors(ctx, sessionID, to, end)
	})
}

// terminateExecutors makes the executors of a TERMINATING session TERMINATING.
func (t *tx) terminateExecutors(ctx context.Context, sessionID string) error {
	from := ergane.Sources(ergane.ExecutorEdges, ergane.ExecutorTerminating)
	_, err := run(ctx, t, "UPDATE executors SET state = $2 WHERE session_id = $1 AND state IN ("+placeholders(3, len(from))+")",
		with([]any{sessionID, string(ergane.ExecutorTerminating)}, from)...)
	return err
}

func (t *tx) endExecutors(ctx context.Context, sessionID string, to ergane.ExecutorState, end time.Time) error {
	from := ergane.Sources(ergane.ExecutorEdges, to)
	_, err := run(ctx, t, `UPDATE executors SET state = $2, terminated_ms = CASE WHEN started_ms > $3 THEN started_ms ELSE $3 END
		WHERE session_id = $1 AND state IN (`+placeholders(4, len(from))+")",
		with([]any{sessionID, string(to), at(end)}, from)...)
	return err
}

// Executors implements ergane.Store.
func (s *Store) Executors(ctx context.Context, sessionID string, states []ergane.ExecutorState, p ergane.Page) ([]ergane.Executor, error) {
	text, args := page(executors, sessionID, states, p)
	found, err := all(ctx, s.readers, scanExecutor, text, args...)
	if err == nil && len(found) == 0 {
		_, err = s.Session(ctx, sessionID)
	}
	return found, err
}
