package session

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/ergane-dev/ergane"
)

// logFor bounds how long the end of a session waits for its log to be stored:
// usually it is there when the session has ended, but what a session says of
// itself does not hang on the result store.
const logFor = time.Second

// logLocation is where the session's MonitoringConfiguration wants the
// driver's log, without a trailing slash; empty: nowhere.
func logLocation(s ergane.Session) string {
	var c struct {
		S3 struct {
			Enabled     bool
			LogLocation string
		} `json:"S3LoggingConfiguration"`
	}
	if s.Monitoring == nil || json.Unmarshal(s.Monitoring, &c) != nil || !c.S3.Enabled {
		return ""
	}
	return strings.TrimRight(c.S3.LogLocation, "/")
}

// endLog stores the log of a session that is about to end, if that is done
// quickly. Else it stays due.
func (r *runner) endLog(ctx context.Context) {
	var s ergane.Session
	r.persist(ctx, "read the session", func() (err error) {
		s, err = r.m.store.Session(ctx, r.id)
		return err
	})
	if logLocation(s) == "" {
		return
	}
	bounded, cancel := context.WithTimeoutCause(ctx, logFor, errors.New("the result store took too long"))
	defer cancel()
	if err := r.m.storeLog(bounded, s); err != nil && ctx.Err() == nil {
		r.log.Warn("cannot store the session's log yet; ergane logs shows it", "location", logLocation(s), "error", err)
		r.m.oweLog(s)
	}
}

// storeLog puts the driver's log of a session, whose kernel is gone, where the
// session wants it: <LogLocation>/<session>/driver.log, and driver.log.1 for
// the older part of a long one.
func (m *Manager) storeLog(ctx context.Context, s ergane.Session) error {
	parts, err := m.host.Logs(s.ID)
	for i, part := range parts {
		name := "driver.log"
		if older := len(parts) - 1 - i; older > 0 {
			name = fmt.Sprintf("driver.log.%d", older)
		}
		if err == nil {
			err = m.objects.Put(ctx, logLocation(s)+"/"+s.ID+"/"+name, part, part.Len(), "text/plain; charset=utf-8", ergane.Delivery{Encryption: s.Encryption})
		}
		part.Close()
	}
	if err == nil {
		err = m.host.SetLogStored(s.ID)
	}
	return err
}

// oweLog makes the log of a session that has ended, or is about to, due.
func (m *Manager) oweLog(s ergane.Session) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.logs[s.ID] = logLocation(s)
}

// findLog makes the log of a session due that an earlier server could not store.
func (m *Manager) findLog(s ergane.Session) {
	if logLocation(s) == "" {
		return
	}
	if stored, err := m.host.LogStored(s.ID); err == nil && !stored {
		m.oweLog(s)
	}
}

// logIsDue reports whether the log of a session is to be stored still.
func (m *Manager) logIsDue(id string) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	_, due := m.logs[id]
	return due
}

// dueLogs are the logs that are due, in no order.
func (m *Manager) dueLogs() []due {
	m.mu.Lock()
	defer m.mu.Unlock()
	var dues []due
	for id, location := range m.logs {
		if m.runners[id] == nil {
			dues = append(dues, due{id: id, uri: location, pay: func(ctx context.Context) error { return m.payLog(ctx, id) }})
		}
	}
	return dues
}

// payLog tries once to store a log that is due. Its file goes, after
// Config.LogsFor, whether it could be stored or not.
func (m *Manager) payLog(ctx context.Context, id string) error {
	s, err := m.store.Session(ctx, id)
	gone := ergane.CodeOf(err) == ergane.CodeNotFound || err == nil && time.Since(s.Status.EndedAt) > m.cfg.LogsFor
	if err == nil && !gone {
		err = m.storeLog(ctx, s)
	}
	switch {
	case gone:
		m.log.Warn("the log of a session was never stored where it was wanted", "session", id)
	case err != nil:
		return err
	default:
		m.log.Info("stored the log of a session that had ended", "session", id)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.logs, id)
	return nil
}
