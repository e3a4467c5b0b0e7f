package main

import (
	"encoding/hex"
	"errors"
	"fmt"
	"os"

	"github.com/ergane-dev/ergane/internal/credentials"
	"github.com/ergane-dev/ergane/internal/engine"
)

// cluster is where the executors of all sessions run.
type cluster struct {
	master engine.Master
	secret string // of a cluster that has its own
}

// openCluster checks what --master says.
func openCluster(master string) (cluster, error) {
	if master == "" {
		return cluster{}, nil // the default
	}
	m, err := engine.ParseMaster(master)
	if err != nil {
		return cluster{}, fmt.Errorf("--master: %w", err)
	}
	c := cluster{master: m, secret: os.Getenv("ERGANE_MASTER_SECRET")}
	if m.NeedsSecret() && c.secret == "" {
		return c, errors.New("--master: sessions on a standalone cluster need the cluster's spark.authenticate.secret in ERGANE_MASTER_SECRET")
	}
	return c, nil
}

// secretOf is what a session's driver and executors know each other by.
func (c cluster) secretOf(keys *credentials.Keyring, sessionID string) string {
	if c.secret != "" && c.master.NeedsSecret() {
		return c.secret
	}
	return hex.EncodeToString(keys.Derive("spark secret " + sessionID))
}
