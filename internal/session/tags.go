package session

import (
	"context"

	"github.com/ergane-dev/ergane"
)

// A Resource can have tags: a workgroup, or one of its sessions.
type Resource struct {
	WorkGroup string
	Session   string // empty: the workgroup itself
}

// Tags returns the tags of a resource, by key.
func (m *Manager) Tags(ctx context.Context, of Resource) ([]ergane.Tag, error) {
	if of.Session == "" {
		w, err := m.store.WorkGroup(ctx, of.WorkGroup)
		return w.Tags, err
	}
	s, err := m.sessionOf(ctx, of)
	return s.Tags, err
}

// Retag replaces the tags of a resource by what change returns, in one transaction.
func (m *Manager) Retag(ctx context.Context, of Resource, change func([]ergane.Tag) ([]ergane.Tag, error)) (err error) {
	log := m.log.With("workgroup", of.WorkGroup)
	defer func() {
		if err == nil {
			log.Info("tags changed")
		}
	}()
	if of.Session != "" {
		log = log.With("session", of.Session)
		if _, err := m.sessionOf(ctx, of); err != nil {
			return err
		}
		return m.store.UpdateSessionTags(ctx, of.Session, change)
	}
	_, err = m.store.UpdateWorkGroup(ctx, of.WorkGroup, func(w *ergane.WorkGroup) (err error) {
		w.Tags, err = change(w.Tags)
		return err
	})
	return err
}

// sessionOf finds a session of the workgroup that is named with it.
func (m *Manager) sessionOf(ctx context.Context, of Resource) (ergane.Session, error) {
	s, err := m.store.Session(ctx, of.Session)
	if err == nil && s.WorkGroup != of.WorkGroup {
		err = ergane.ErrSessionNotFound(of.Session)
	}
	return s, err
}
