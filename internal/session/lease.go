package session

import (
	"context"
	"fmt"
	"time"

	"github.com/ergane-dev/ergane"
)

const (
	// leaseFor is how long a server owns its sessions after it last renewed its
	// lease. After that, another server with the same database may take them over.
	leaseFor = 2 * time.Minute
	// renewEvery is the pause between renewals: some of them may fail.
	renewEvery = 30 * time.Second
)

// renewLease renews this server's lease, and takes over the sessions of servers
// whose leases have ended.
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

// keepLease renews the lease until the server stops. It does not end the lease
// then: the sessions stay the server's own until the lease ends by itself, so that
// the server finds them after a restart.
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
