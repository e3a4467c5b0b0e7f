// Package delivery puts the output of calculations and the logs of sessions into
// S3: at the end of a calculation or session and, if that failed, later. It also
// decides how a calculation ends, which depends on its delivery.
package delivery

import (
	"log/slog"
	"sync"
	"time"

	"github.com/ergane-dev/ergane"
)

// Config configures a Deliverer. There are no defaults.
type Config struct {
	// RetryFor bounds the retries at the end of a calculation.
	RetryFor time.Duration
	// MaxOutput is how many bytes of an object are delivered at most.
	MaxOutput int64
	// KeepFor is how long a delivery stays pending before it is discarded.
	KeepFor time.Duration
	// MaxPending and MaxPendingBytes bound what is pending at once; beyond them
	// the oldest is discarded. 0 bytes is no limit.
	MaxPending      int
	MaxPendingBytes int64
	// LogsFor is how long the log of an ended session is kept.
	LogsFor time.Duration
}

// A Deliverer delivers for all sessions of one server.
type Deliverer struct {
	cfg      Config
	store    Store
	files    Files
	objects  Objects
	sessions Sessions
	meter    Meter
	log      *slog.Logger

	mu   sync.Mutex
	logs map[string]string // the addresses of logs that are still to be stored, by session id; guarded by mu
}

// New makes a Deliverer. Nothing is redelivered before Run.
func New(cfg Config, store Store, files Files, objects Objects, sessions Sessions, meter Meter, log *slog.Logger) *Deliverer {
	return &Deliverer{cfg: cfg, store: store, files: files, objects: objects, sessions: sessions, meter: meter, log: log, logs: map[string]string{}}
}

// about is a logger with the calculation's ids.
func (d *Deliverer) about(c ergane.Calculation) *slog.Logger {
	return d.log.With("session", c.SessionID, "calculation", c.ID)
}
