package store

import (
	"context"
	"time"

	"github.com/ergane-dev/ergane"
)

// purgeAtOnce is how many sessions or calculations one purge removes: few
// enough that it does not delay other writes noticeably.
const purgeAtOnce = 200

// CondemnWorkGroup implements ergane.Store.
func (s *Store) CondemnWorkGroup(ctx context.Context, name string, recursive bool, at time.Time, reason string) (stopping []ergane.Session, err error) {
	err = s.write(ctx, func(ctx context.Context, t *tx) error {
		stopping = nil
		if _, err := workGroup(ctx, t, name); err != nil {
			return err
		}
		if !recursive {
			_, some, err := one(ctx, t, scanString, "SELECT id FROM sessions WHERE workgroup = $1 LIMIT 1", name)
			switch {
			case err != nil:
				return err
			case some:
				return ergane.Errorf(ergane.CodeState, "WorkGroup %s is not empty", name)
			}
		}
		if _, err := run(ctx, t, "UPDATE workgroups SET state = $2 WHERE name = $1", name, string(ergane.WorkGroupDeleting)); err != nil {
			return err
		}
		live, err := t.liveSessions(ctx, name)
		for _, id := range live {
			stopped, _, err := t.moveSession(ctx, ergane.SessionStopping(id, at, reason))
			if err != nil {
				return err
			}
			stopping = append(stopping, stopped)
		}
		return err
	})
	return stopping, err
}

// liveSessions are the ids of a workgroup's sessions that have not ended.
func (t *tx) liveSessions(ctx context.Context, workgroup string) ([]string, error) {
	live := ergane.Sources(ergane.SessionEdges, ergane.SessionTerminated)
	live = append(live, ergane.Sources(ergane.SessionEdges, ergane.SessionTerminating)...)
	return all(ctx, t, scanString, "SELECT id FROM sessions WHERE workgroup = $1 AND state IN ("+placeholders(2, len(live))+")",
		with([]any{workgroup}, live)...)
}

// CondemnedWorkGroups implements ergane.Store.
func (s *Store) CondemnedWorkGroups(ctx context.Context) ([]string, error) {
	// The condition is that of the partial index, to the letter.
	return all(ctx, s.readers, scanString, "SELECT name FROM workgroups WHERE state = 'DELETING' ORDER BY name")
}

// PurgeWorkGroup implements ergane.Store.
func (s *Store) PurgeWorkGroup(ctx context.Context, name string) (now ergane.Purge, err error) {
	err = s.write(ctx, func(ctx context.Context, t *tx) error {
		state, ok, err := one(ctx, t, scanString, "SELECT state FROM workgroups WHERE name = $1", name)
		if err != nil || !ok || state != string(ergane.WorkGroupDeleting) {
			now = ergane.PurgeDone // or a workgroup of that name that is not condemned
			return err
		}
		now = ergane.PurgeWaits
		if live, err := t.liveSessions(ctx, name); err != nil || len(live) > 0 {
			return err
		}
		now = ergane.PurgeGoes
		found, err := all(ctx, t, scanString, "SELECT id FROM sessions WHERE workgroup = $1 LIMIT $2", name, purgeAtOnce)
		if err != nil {
			return err
		}
		room := purgeAtOnce
		for _, id := range found {
			if room, err = t.purgeSession(ctx, id, room); err != nil || room <= 0 {
				return err
			}
		}
		if len(found) == purgeAtOnce {
			return nil
		}
		_, err = run(ctx, t, "DELETE FROM workgroups WHERE name = $1", name)
		now = ergane.PurgeDone
		return err
	})
	return now, err
}

// purgeSession removes a session and what belongs to it, but at most room
// calculations, and returns how much room is left. If that is 0, a part of the
// session is left, too.
func (t *tx) purgeSession(ctx context.Context, id string, room int) (int, error) {
	found, err := all(ctx, t, scanString, "SELECT id FROM calculations WHERE session_id = $1 LIMIT $2", id, room)
	if err != nil {
		return 0, err
	}
	for _, c := range found {
		for _, text := range []string{
			"DELETE FROM codes WHERE calculation_id = $1", "DELETE FROM tokens WHERE resource_id = $1", "DELETE FROM calculations WHERE id = $1",
		} {
			if _, err := run(ctx, t, text, c); err != nil {
				return 0, err
			}
		}
	}
	if len(found) == room {
		return 0, nil
	}
	for _, text := range []string{
		"DELETE FROM executors WHERE session_id = $1", "DELETE FROM tokens WHERE resource_id = $1", "DELETE FROM sessions WHERE id = $1",
	} {
		if _, err := run(ctx, t, text, id); err != nil {
			return 0, err
		}
	}
	return room - len(found), nil
}
