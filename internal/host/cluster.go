package host

import (
	"encoding/hex"
	"errors"
	"fmt"

	"github.com/ergane-dev/ergane/internal/credentials"
	"github.com/ergane-dev/ergane/internal/engine"
)

// A Cluster is where the executors of all sessions run.
type Cluster struct {
	Master engine.Master
	secret string // of a cluster that has its own
}

// OpenCluster checks --master. secret is the spark.authenticate.secret of a
// standalone cluster.
func OpenCluster(master, secret string) (Cluster, error) {
	if master == "" {
		return Cluster{}, nil // the default
	}
	m, err := engine.ParseMaster(master)
	if err != nil {
		return Cluster{}, fmt.Errorf("--master: %w", err)
	}
	c := Cluster{Master: m, secret: secret}
	if m.NeedsSecret() && c.secret == "" {
		return c, errors.New("--master: sessions on a standalone cluster need the cluster's spark.authenticate.secret in ERGANE_MASTER_SECRET")
	}
	return c, nil
}

// secretOf is the secret that a session's driver and executors authenticate with.
func (c Cluster) secretOf(keys *credentials.Keyring, sessionID string) string {
	if c.secret != "" && c.Master.NeedsSecret() {
		return c.secret
	}
	return hex.EncodeToString(keys.Derive("spark secret " + sessionID))
}
