package store

import (
	"context"
	"database/sql"
	"time"

	"github.com/ergane-dev/ergane"
)

const sessionColumns = "id, workgroup, description, engine_selected, engine_effective, engine, execution_role, " +
	"idle_timeout_ms, working_directory, encryption, bucket_owner, notebook_version, tags, monitoring, " +
	"dpus, memory, state, reason, started_ms, modified_ms, ended_ms, idle_ms, dpu_ms, owner"

var sessions = listing{table: "sessions", columns: sessionColumns, owner: "workgroup", time: "started_ms"}

func scanSession(rows *sql.Rows) (s ergane.Session, err error) {
	err = rows.Scan(&s.ID, &s.WorkGroup, &s.Description, &s.EngineVersion.Selected, &s.EngineVersion.Effective, document{&s.Engine}, &s.ExecutionRole,
		interval{&s.IdleTimeout}, &s.WorkingDirectory, document{&s.Encryption}, &s.BucketOwner, &s.NotebookVersion, document{&s.Tags}, raw{&s.Monitoring},
		&s.Dpus, &s.Memory, &s.Status.State, &s.Status.Reason, millis{&s.Status.StartedAt}, millis{&s.Status.ModifiedAt}, millis{&s.Status.EndedAt}, millis{&s.Status.IdleSince}, &s.DpuMillis, &s.Owner)
	return s, err
}

func session(ctx context.Context, p preparer, id string) (ergane.Session, error) {
	s, ok, err := one(ctx, p, scanSession, "SELECT "+sessionColumns+" FROM sessions WHERE id = $1", id)
	if err == nil && !ok {
		err = ergane.ErrSessionNotFound(id)
	}
	return s, err
}

// CreateSession implements ergane.Store.
func (s *Store) CreateSession(ctx context.Context, n ergane.Session, tokens []ergane.Token, l ergane.Limits) (made ergane.Session, created bool, err error) {
	err = s.write(ctx, func(ctx context.Context, t *tx) error {
		id, err := redeem(ctx, t, tokens, n.Status.StartedAt)
		if err != nil {
			return err
		}
		if created = id == ""; created {
			id = n.ID
			if err := t.open(ctx, n.WorkGroup); err != nil {
				return err
			}
			if err := t.admit(ctx, n, l); err != nil {
				return err
			}
			if err := t.insertSession(ctx, n); err != nil {
				return err
			}
			if err := t.keep(ctx, tokens, id, n.Status.StartedAt); err != nil {
				return err
			}
		}
		made, err = session(ctx, t, id)
		return err
	})
	if err != nil {
		return ergane.Session{}, false, err
	}
	return made, created, nil
}

// SessionOf implements ergane.Store.
func (s *Store) SessionOf(ctx context.Context, tokens []ergane.Token, at time.Time) (ergane.Session, bool, error) {
	id, err := redeem(ctx, s.readers, tokens, at)
	if err != nil || id == "" {
		return ergane.Session{}, false, err
	}
	made, err := session(ctx, s.readers, id)
	return made, err == nil, err
}

func (t *tx) insertSession(ctx context.Context, s ergane.Session) error {
	_, err := run(ctx, t, "INSERT INTO sessions ("+sessionColumns+`)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, '', $18, $18, NULL, NULL, 0, $19)`,
		s.ID, s.WorkGroup, s.Description, s.EngineVersion.Selected, s.EngineVersion.Effective, document{s.Engine}, s.ExecutionRole,
		interval{&s.IdleTimeout}, s.WorkingDirectory, document{s.Encryption}, s.BucketOwner, s.NotebookVersion, document{s.Tags}, raw{&s.Monitoring},
		s.Dpus, s.Memory, string(ergane.SessionCreating), at(s.Status.StartedAt), s.Owner)
	return err
}

// admit counts the live sessions, and refuses one more that exceeds a limit.
func (t *tx) admit(ctx context.Context, n ergane.Session, l ergane.Limits) error {
	if l == (ergane.Limits{}) {
		return nil
	}
	scan := func(rows *sql.Rows) (now ergane.Load, err error) {
		return now, rows.Scan(&now.Sessions, &now.WorkGroupSessions, &now.Dpus, &now.WorkGroupDpus, &now.Memory)
	}
	now, _, err := one(ctx, t, scan, `SELECT
			coalesce(sum(CASE WHEN state <> 'TERMINATING' THEN 1 END), 0),
			coalesce(sum(CASE WHEN state <> 'TERMINATING' AND workgroup = $1 THEN 1 END), 0),
			coalesce(sum(CASE WHEN state <> 'TERMINATING' THEN dpus END), 0),
			coalesce(sum(CASE WHEN state <> 'TERMINATING' AND workgroup = $1 THEN dpus END), 0),
			coalesce(sum(memory), 0)
		FROM sessions WHERE state NOT IN ('TERMINATED', 'FAILED')`, n.WorkGroup)
	if err != nil {
		return err
	}
	return l.Admit(n, now)
}

// Session implements ergane.Store.
func (s *Store) Session(ctx context.Context, id string) (ergane.Session, error) {
	return session(ctx, s.readers, id)
}

// UpdateSessionTags implements ergane.Store.
func (s *Store) UpdateSessionTags(ctx context.Context, id string, change func([]ergane.Tag) ([]ergane.Tag, error)) error {
	return s.write(ctx, func(ctx context.Context, t *tx) error {
		n, err := session(ctx, t, id)
		if err != nil {
			return err
		}
		tags, err := change(n.Tags)
		if err != nil {
			return err
		}
		_, err = run(ctx, t, "UPDATE sessions SET tags = $2 WHERE id = $1", id, document{tags})
		return err
	})
}

// Sessions implements ergane.Store.
func (s *Store) Sessions(ctx context.Context, workgroup string, states []ergane.SessionState, p ergane.Page) ([]ergane.Session, error) {
	text, args := page(sessions, workgroup, states, p)
	found, err := all(ctx, s.readers, scanSession, text, args...)
	if err == nil && len(found) == 0 {
		_, err = s.WorkGroup(ctx, workgroup)
	}
	return found, err
}

// LiveSessions implements ergane.Store.
func (s *Store) LiveSessions(ctx context.Context, owner string) ([]ergane.Session, error) {
	// The first condition is that of the partial index, to the letter.
	return all(ctx, s.readers, scanSession,
		"SELECT "+sessionColumns+" FROM sessions WHERE state NOT IN ('TERMINATED', 'FAILED') AND owner = $1 ORDER BY started_ms, id", owner)
}

// MoveSession implements ergane.Store.
func (s *Store) MoveSession(ctx context.Context, m ergane.SessionMove) (now ergane.Session, moved bool, err error) {
	err = s.write(ctx, func(ctx context.Context, t *tx) error {
		now, moved, err = t.moveSession(ctx, m)
		return err
	})
	if err != nil {
		return ergane.Session{}, false, err
	}
	return now, moved, nil
}

// moveSession is the compare-and-set. The session's executors move with it.
func (t *tx) moveSession(ctx context.Context, m ergane.SessionMove) (ergane.Session, bool, error) {
	const moment = "CASE WHEN modified_ms > $4 THEN modified_ms ELSE $4 END"
	args := with([]any{m.ID, string(m.To), m.Reason, at(m.At)}, m.From)
	now, moved, err := one(ctx, t, scanSession, `UPDATE sessions SET
			state = $2,
			reason = CASE WHEN $2 = 'TERMINATED' AND $3 = '' THEN reason ELSE $3 END,
			modified_ms = `+moment+`,
			idle_ms = CASE WHEN $2 = 'IDLE' THEN `+moment+` END,
			ended_ms = CASE WHEN $2 IN ('TERMINATED', 'FAILED') THEN `+moment+` END
		WHERE id = $1 AND state IN (`+placeholders(5, len(m.From))+`)
		RETURNING `+sessionColumns, args...)
	switch {
	case err != nil:
		return now, false, err
	case !moved:
		now, err = session(ctx, t, m.ID)
		return now, false, err
	}
	switch m.To {
	case ergane.SessionTerminating:
		err = t.terminateExecutors(ctx, m.ID)
	case ergane.SessionTerminated:
		err = t.endExecutors(ctx, m.ID, ergane.ExecutorTerminated, now.Status.EndedAt)
	case ergane.SessionFailed:
		err = t.endExecutors(ctx, m.ID, ergane.ExecutorFailed, now.Status.EndedAt)
	}
	return now, true, err
}
