package store

import (
	"database/sql"
	"maps"
	"slices"
)

// Writer, Unsynced and Readers are the handles behind a store, for tests that look beneath it.
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

// Purged is how many forgotten tokens one call clears away.
const Purged = purged

// Watch is what tells Compact's progress.
var Watch = watch
