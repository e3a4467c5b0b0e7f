package gateway

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"

	"github.com/ergane-dev/ergane/internal/child"
	"github.com/ergane-dev/ergane/internal/durable"
)

const (
	lockName   = "s3.lock"
	handleName = "s3.json"
	logName    = "s3.log"
)

// handle is s3.json: what is needed to find the process of the embedded S3 again,
// and the address, which the data dir always keeps. Only that process writes it.
type handle struct {
	V int `json:"v"`
	child.Identity
	Addr  string `json:"addr"`
	Build string `json:"build"`
	// Clean is true if the process stopped as it was asked to.
	Clean bool `json:"clean,omitzero"`
}

// ownHandle describes this process.
func ownHandle() (handle, error) {
	self, err := child.IdentityOf(os.Getpid())
	return handle{V: 1, Identity: self}, err
}

func readHandle(dataDir string) (handle, error) {
	raw, err := os.ReadFile(filepath.Join(dataDir, handleName))
	if err != nil {
		return handle{}, err
	}
	var h handle
	if err := json.Unmarshal(raw, &h); err != nil {
		return handle{}, fmt.Errorf("read %s: %w", handleName, err)
	}
	if h.V != 1 {
		return handle{}, fmt.Errorf("read %s: version %d is not known", handleName, h.V)
	}
	return h, nil
}

// write replaces the handle; a reader sees the old or the new one.
func (h handle) write(dataDir string) error {
	raw, err := json.Marshal(h)
	if err != nil {
		return err
	}
	return durable.Replace(filepath.Join(dataDir, handleName), 0o600, append(raw, '\n'))
}
