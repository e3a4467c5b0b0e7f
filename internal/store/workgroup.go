package store

import (
	"context"
	"database/sql"
	"errors"

	"github.com/ergane-dev/ergane"
)

const workGroupColumns = "name, description, state, created_ms, configuration, tags"

func scanWorkGroup(rows *sql.Rows) (w ergane.WorkGroup, err error) {
	err = rows.Scan(&w.Name, &w.Description, &w.State, millis{&w.CreatedAt}, document{&w.Configuration}, document{&w.Tags})
	return w, err
}

// CreateWorkGroup implements ergane.Store.
func (s *Store) CreateWorkGroup(ctx context.Context, w ergane.WorkGroup) error {
	err := s.write(ctx, func(ctx context.Context, t *tx) error {
		_, err := run(ctx, t, "INSERT INTO workgroups ("+workGroupColumns+") VALUES ($1, $2, $3, $4, $5, $6)",
			w.Name, w.Description, string(w.State), at(w.CreatedAt), document{w.Configuration}, document{w.Tags})
		return err
	})
	if errors.Is(err, errExists) {
		if _, err := s.WorkGroup(ctx, w.Name); ergane.CodeOf(err) == ergane.CodeNotFound {
			return ergane.Errorf(ergane.CodeInvalid, "WorkGroup %s is being deleted; its name is free again in a moment.", w.Name)
		}
		return &ergane.Error{Code: ergane.CodeInvalid, Message: "WorkGroup is already created", Cause: err}
	}
	return err
}

// workGroup finds a workgroup that is not condemned.
func workGroup(ctx context.Context, p preparer, name string) (ergane.WorkGroup, error) {
	w, ok, err := one(ctx, p, scanWorkGroup, "SELECT "+workGroupColumns+" FROM workgroups WHERE name = $1", name)
	if err == nil && (!ok || w.State == ergane.WorkGroupDeleting) {
		return ergane.WorkGroup{}, ergane.ErrWorkGroupNotFound()
	}
	return w, err
}

// WorkGroup implements ergane.Store.
func (s *Store) WorkGroup(ctx context.Context, name string) (ergane.WorkGroup, error) {
	return workGroup(ctx, s.readers, name)
}

// UpdateWorkGroup implements ergane.Store.
func (s *Store) UpdateWorkGroup(ctx context.Context, name string, change func(*ergane.WorkGroup) error) (w ergane.WorkGroup, err error) {
	err = s.write(ctx, func(ctx context.Context, t *tx) error {
		if w, err = workGroup(ctx, t, name); err != nil {
			return err
		}
		if err := change(&w); err != nil {
			return err
		}
		w, _, err = one(ctx, t, scanWorkGroup, `UPDATE workgroups SET description = $2, state = $3, configuration = $4, tags = $5
			WHERE name = $1 RETURNING `+workGroupColumns,
			name, w.Description, string(w.State), document{w.Configuration}, document{w.Tags})
		return err
	})
	if err != nil {
		return ergane.WorkGroup{}, err
	}
	return w, nil
}

// open refuses new work for a workgroup that does not exist or is DISABLED.
func (t *tx) open(ctx context.Context, name string) error {
	state, ok, err := one(ctx, t, scanString, "SELECT state FROM workgroups WHERE name = $1", name)
	return admit(name, ergane.WorkGroupState(state), ok, err)
}

// openFor is open for the workgroup of a session. It does not refuse an unknown session.
func (t *tx) openFor(ctx context.Context, sessionID string) error {
	type owner struct{ name, state string }
	scan := func(rows *sql.Rows) (o owner, err error) { return o, rows.Scan(&o.name, &o.state) }
	o, ok, err := one(ctx, t, scan, "SELECT name, workgroups.state FROM workgroups JOIN sessions ON workgroup = name WHERE id = $1", sessionID)
	if err == nil && (!ok || o.state == string(ergane.WorkGroupDeleting)) {
		return nil // the session's own state says more
	}
	return admit(o.name, ergane.WorkGroupState(o.state), ok, err)
}

func admit(name string, state ergane.WorkGroupState, found bool, err error) error {
	switch {
	case err != nil:
		return err
	case !found, state == ergane.WorkGroupDeleting:
		return ergane.ErrWorkGroupNotFound()
	case state == ergane.WorkGroupDisabled:
		return ergane.ErrWorkGroupDisabled(name)
	}
	return nil
}

// WorkGroups implements ergane.Store.
func (s *Store) WorkGroups(ctx context.Context, p ergane.Page) ([]ergane.WorkGroup, error) {
	return all(ctx, s.readers, scanWorkGroup,
		"SELECT "+workGroupColumns+" FROM workgroups WHERE name > $1 AND state <> $2 ORDER BY name LIMIT $3",
		p.After.ID, string(ergane.WorkGroupDeleting), p.Limit)
}
