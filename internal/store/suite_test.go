package store_test

import (
	"path/filepath"
	"testing"

	"github.com/ergane-dev/ergane"
	"github.com/ergane-dev/ergane/internal/store"
	"github.com/ergane-dev/ergane/internal/testkit/storesuite"
)

func TestStore(t *testing.T) {
	t.Parallel()
	storesuite.Run(t, func(t *testing.T) ergane.Store { return openAt(t, filepath.Join(t.TempDir(), "ergane.db")) })
}

// openAt opens the database at path until the end of the test.
func openAt(t testing.TB, path string) *store.Store {
	t.Helper()
	s, err := store.Open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}
