package datadir

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/google/uuid"

	"github.com/ergane-dev/ergane/internal/durable"
)

// ServerID is the id of the server that runs on a data folder and owns the
// sessions whose kernels are there. It is created once and kept in the folder, so
// that a server that starts again still owns its sessions. The caller holds the
// folder's lock.
func ServerID(dataDir string) (string, error) {
	path := filepath.Join(dataDir, "server.id")
	raw, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		id := uuid.NewString()
		if err := durable.Replace(path, 0o600, []byte(id+"\n")); err != nil {
			return "", fmt.Errorf("make the server's id: %w", err)
		}
		return id, nil
	}
	if err != nil {
		return "", fmt.Errorf("read the server's id: %w", err)
	}
	id, err := uuid.Parse(strings.TrimSpace(string(raw)))
	if err != nil {
		return "", fmt.Errorf("read the server's id: %s is damaged; restore it, or delete it to get a new one (the sessions that run are taken over after some minutes)", path)
	}
	return id.String(), nil
}
