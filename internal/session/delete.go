package session

import (
	"context"
	"time"

	"github.com/ergane-dev/ergane"
)

const (
	// purgeEvery is the pause between looks at the sessions of a deleted workgroup.
	purgeEvery = 100 * time.Millisecond
	// deleteHold is how long DeleteWorkGroup waits for the end of the purge,
	// so that a client usually finds the name free again.
	deleteHold = 20 * time.Second
)

// byDeletion is the reason of a session that ended because its workgroup did.
const byDeletion = "The session was terminated because its workgroup was deleted"

// DeleteWorkGroup deletes a workgroup; with recursive also its sessions, live
// ones included, and their calculations. The objects in S3 stay. Once it has
// returned, the workgroup is not found; a purge that takes longer than
// deleteHold goes on in the background, over restarts of the server, too.
func (m *Manager) DeleteWorkGroup(ctx context.Context, name string, recursive bool) error {
	if name == ergane.PrimaryWorkGroup {
		return ergane.Errorf(ergane.CodeInvalid, "WorkGroup %s cannot be deleted.", name)
	}
	stopping, err := m.store.CondemnWorkGroup(ctx, name, recursive, time.Now(), byDeletion)
	if err != nil {
		return err
	}
	m.log.Info("deleting a workgroup", "workgroup", name, "live_sessions", len(stopping))
	for _, s := range stopping {
		m.hub.moved(s.ID)
		m.nudge(s.ID)
	}
	purged := make(chan struct{})
	if !m.background(func() {
		m.purge(name)
		close(purged)
		m.reclaim()
	}) {
		return nil // the next server goes on
	}
	t := time.NewTimer(deleteHold)
	defer t.Stop()
	select {
	case <-purged:
	case <-t.C:
	case <-ctx.Done():
	}
	return nil
}

// purge removes what belongs to a deleted workgroup as its sessions end.
func (m *Manager) purge(name string) {
	for wait := purgeEvery; ; {
		now, err := m.store.PurgeWorkGroup(m.ctx, name)
		switch {
		case m.ctx.Err() != nil:
			return // the next server goes on
		case err != nil:
			m.log.Error("cannot remove a deleted workgroup; trying again", "workgroup", name, "error", err, "wait", wait)
			wait = min(2*wait, 5*time.Second)
		case now == ergane.PurgeDone:
			m.log.Info("workgroup deleted", "workgroup", name)
			return
		case now == ergane.PurgeGoes:
			continue
		default:
			wait = purgeEvery
		}
		if !pause(m.ctx, wait) {
			return
		}
	}
}

// reclaim gives the space of removed rows back to the file system, a little at a time.
func (m *Manager) reclaim() {
	for more := true; more; {
		var err error
		if more, err = m.store.Reclaim(m.ctx); err != nil && m.ctx.Err() == nil {
			m.log.Warn("cannot free unused space of the database", "error", err)
		}
		if more && !pause(m.ctx, expirePause) {
			return
		}
	}
}
