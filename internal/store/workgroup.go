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
		return &ergane.Error{Code: ergane.CodeInvalid, Message: "WorkGroup is already created", Cause: err}
	}
	return err
}

// WorkGroup implements ergane.Store.
func (s *Store) WorkGroup(ctx context.Context, name string) (ergane.WorkGroup, error) {
	w, ok, err := one(ctx, s.readers, scanWorkGroup, "SELECT "+workGroupColumns+" FROM workgroups WHERE name = $1", name)
	if err == nil && !ok {
		err = ergane.ErrWorkGroupNotFound()
	}
	return w, err
}

// WorkGroups implements ergane.Store.
func (s *Store) WorkGroups(ctx context.Context, p ergane.Page) ([]ergane.WorkGroup, error) {
	return all(ctx, s.readers, scanWorkGroup,
		"SELECT "+workGroupColumns+" FROM workgroups WHERE name > $1 ORDER BY name LIMIT $2", p.After.ID, p.Limit)
}
