package session

import (
	"cmp"
	"errors"
	"slices"
	"time"

	"github.com/ergane-dev/ergane"
)

// reapEvery is how often leftovers are looked for.
const reapEvery = time.Hour

// reap ends kernels that belong to no live session, and removes the files of
// sessions that ended: the kernel's at once, the logs after Config.LogsFor.
// owned are the sessions that were live when the server started.
func (m *Manager) reap(owned map[string]bool) {
	for {
		ids, err := m.host.Sessions()
		if err != nil {
			m.log.Warn("cannot look for leftovers", "error", err)
		}
		for _, id := range ids {
			if m.ctx.Err() != nil {
				return
			}
			if !owned[id] && m.runner(id) == nil && !m.pool.owns(id) {
				m.reapSession(id)
			}
		}
		m.boundLogs(ids)
		owned = nil // from now on, runners say which sessions are live
		if !pause(m.ctx, reapEvery) {
			return
		}
	}
}

func (m *Manager) reapSession(id string) {
	s, err := m.store.Session(m.ctx, id)
	switch {
	case err != nil && ergane.CodeOf(err) != ergane.CodeNotFound:
		return // that the store cannot be read is no reason to kill
	case err == nil && !s.Status.State.Ended():
		return // the session began meanwhile
	}
	if k, err := m.host.Adopt(m.ctx, id); err == nil {
		m.log.Warn("ending a kernel that belongs to no live session", "session", id)
		k.Shutdown(m.ctx, 0)
		k.Detach()
	} else if m.ctx.Err() != nil {
		return
	} else if e := new(ExitError); !errors.As(err, &e) && !errors.Is(err, ErrNoKernel) {
		m.log.Warn("ending a kernel that belongs to no live session and cannot be adopted", "session", id, "error", err)
		if err := m.host.Expel(m.ctx, id); err != nil {
			m.log.Warn("cannot end a kernel that belongs to no live session", "session", id, "error", err)
			return
		}
	}
	if err == nil {
		m.delivery.FindLog(s)
	}
	if !m.removeFiles(id) {
		return
	}
	if time.Since(s.Status.EndedAt) > m.cfg.LogsFor {
		if err := m.host.Forget(id); err != nil {
			m.log.Warn("cannot remove a session's logs", "session", id, "error", err)
		}
	}
}

// boundLogs removes the logs of the sessions that ended first, until the logs of
// all ended sessions take no more than Config.MaxLogs. Logs that are still to be
// stored in S3, and those of sessions with a pending delivery, stay.
func (m *Manager) boundLogs(ids []string) {
	type ended struct {
		id   string
		at   time.Time
		size int64
	}
	var all []ended
	var sum int64
	for _, id := range ids {
		if m.cfg.MaxLogs <= 0 || m.ctx.Err() != nil {
			return
		}
		s, err := m.store.Session(m.ctx, id)
		if err != nil || !s.Status.State.Ended() || m.runner(id) != nil {
			continue
		}
		if size, err := m.host.LogSize(id); err == nil {
			sum += size
			all = append(all, ended{id, s.Status.EndedAt, size})
		}
	}
	slices.SortFunc(all, func(a, b ended) int { return cmp.Or(a.at.Compare(b.at), cmp.Compare(a.id, b.id)) })
	for _, e := range all {
		if sum <= m.cfg.MaxLogs {
			return
		}
		if m.delivery.LogPending(e.id) || !m.removeFiles(e.id) {
			continue
		}
		if err := m.host.Forget(e.id); err != nil {
			m.log.Warn("cannot remove a session's logs", "session", e.id, "error", err)
			continue
		}
		m.log.Info("removed the logs of a session, because those of all sessions were too large", "session", e.id, "bytes", e.size)
		sum -= e.size
	}
}

// removeFiles removes the files of a session that has ended, except its logs,
// and reports whether they are gone: while a delivery is pending, the spool stays.
func (m *Manager) removeFiles(id string) bool {
	pending, err := m.store.HasPendingDelivery(m.ctx, id)
	if err != nil {
		return false // the reaper looks again
	}
	remove := m.host.Discard
	if pending {
		remove = m.host.Trim
	}
	if err := remove(id); err != nil {
		m.log.Warn("cannot remove a session's files", "session", id, "error", err)
	}
	return !pending
}
