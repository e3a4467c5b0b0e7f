package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/google/uuid"

	"github.com/ergane-dev/ergane/internal/datadir"
	"github.com/ergane-dev/ergane/internal/kernel"
)

type logsCmd struct {
	dirs
	Session string `arg:"" help:"Id of the session."`
}

// Run prints what Spark's driver and Python's workers logged, oldest first.
// The log is a ring: of a long one the last few megabytes are there.
func (c *logsCmd) Run() error {
	if err := c.resolve(); err != nil {
		return err
	}
	id, err := uuid.Parse(c.Session)
	if err != nil {
		return fmt.Errorf("%q is not a session id", c.Session)
	}
	dir := filepath.Join(datadir.Sessions(c.DataDir), id.String())
	if _, err := os.Stat(dir); err != nil {
		return fmt.Errorf("session %s left no log on this machine; logs of ended sessions are kept for a week at most (serve --max-logs, --keep)", id)
	}
	for _, path := range kernel.Logs(dir) {
		f, err := os.Open(path)
		if os.IsNotExist(err) {
			continue
		}
		if err != nil {
			return fmt.Errorf("read the log: %w", err)
		}
		_, err = io.Copy(os.Stdout, f)
		f.Close()
		if err != nil {
			return fmt.Errorf("read the log: %w", err)
		}
	}
	return nil
}
