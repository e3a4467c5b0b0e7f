package session

import (
	"errors"
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
		owned = nil // from now on the runners tell
		if !pause(m.ctx, reapEvery) {
			return
		}
	}
}

func (m *Manager) reapSession(id string) {
	s, err := m.store.Session(m.ctx, id)
	switch {
	case err != nil && ergane.CodeOf(err) != ergane.CodeUnknown:
		return // not being able to look is no licence to kill
	case err == nil && !s.Status.State.Ended():
		return // it began while we looked
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
		m.findLog(s)
	}
	if !m.discard(id) {
		return
	}
	if time.Since(s.Status.EndedAt) > m.cfg.LogsFor {
		if err := m.host.Forget(id); err != nil {
			m.log.Warn("cannot remove a session's logs", "session", id, "error", err)
		}
	}
}
