package store

import (
	"database/sql"
	"maps"
	"slices"
)

// Writer, Unsynced and Readers are the database handles of a store, for tests.
func (s *Store) Writer() *sql.DB   { return s.writer.db }
func (s *Store) Unsynced() *sql.DB { return s.unsynced.db }
func (s *Store) Readers() *sql.DB  { return s.readers.db }

// Texts are the statements that the store has used so far.
func (s *Store) Texts() []string {
	var texts []string
	for _, p := range []*pool{s.writer, s.unsynced, s.readers} {
		p.mu.RLock()
		texts = slices.AppendSeq(texts, maps.Keys(p.stmts))
		p.mu.RUnlock()
	}
	return texts
}

// Purged is how many expired tokens one call removes.
const Purged = purged

// Watch reports Compact's progress.
var Watch = watch
