package session

import (
	"context"
	"fmt"
	"time"

	"github.com/ergane-dev/ergane"
)

const (
	// leaseFor is how long a server owns its sessions after it last said that it
	// lives. Then another server of the same database may take them over.
	leaseFor = 2 * time.Minute
	// renewEvery is how often it says so: a few times can fail.
	renewEvery = 30 * time.Second
)

// renewLease says that this server lives, and takes over the sessions of
// servers that no longer do.
func (m *Manager) renewLease(ctx context.Context) (taken []ergane.Session, err error) {
	now := time.Now()
	if err := m.store.RenewLease(ctx, m.cfg.Server, now.Add(leaseFor)); err != nil {
		return nil, fmt.Errorf("renew the lease of the server: %w", err)
	}
	if taken, err = m.store.TakeOver(ctx, m.cfg.Server, now); err != nil {
		return nil, fmt.Errorf("take over sessions: %w", err)
	}
	for _, s := range taken {
		m.log.Info("took over a session that no running server owns", "session", s.ID)
	}
	return taken, nil
}

// keepLease renews the lease until the server stops. It is not given up then:
// the sessions stay the server's own until the lease ends, so that a restart
// finds them.
func (m *Manager) keepLease() {
	for pause(m.ctx, renewEvery) {
		taken, err := m.renewLease(m.ctx)
		if err != nil && m.ctx.Err() == nil {
			m.log.Warn("cannot renew the lease on the server's sessions; trying again", "error", err, "wait", renewEvery)
		}
		for _, s := range taken {
			m.own(s.ID, nil, true)
		}
	}
}
