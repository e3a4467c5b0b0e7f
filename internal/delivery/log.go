package delivery

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/ergane-dev/ergane"
)

// LogLocation is where the session's MonitoringConfiguration wants the
// driver's log, without a trailing slash; empty: nowhere.
func LogLocation(s ergane.Session) string {
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

// StoreLog tries once to store the driver's log of a session whose kernel is
// gone as <LogLocation>/<session>/driver.log, and the older part of a long log
// as driver.log.1.
func (d *Deliverer) StoreLog(ctx context.Context, s ergane.Session) error {
	parts, err := d.files.Logs(s.ID)
	for i, part := range parts {
		name := "driver.log"
		if older := len(parts) - 1 - i; older > 0 {
			name = fmt.Sprintf("driver.log.%d", older)
		}
		if err == nil {
			err = d.objects.Put(ctx, LogLocation(s)+"/"+s.ID+"/"+name, part, part.Len(), "text/plain; charset=utf-8", ergane.Delivery{Encryption: s.Encryption})
		}
		part.Close()
	}
	if err == nil {
		err = d.files.SetLogStored(s.ID)
	}
	return err
}

// StoreLogLater makes the log of a session that has ended, or is about to end, pending.
func (d *Deliverer) StoreLogLater(s ergane.Session) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.logs[s.ID] = LogLocation(s)
}

// FindLog makes the log of a session pending that an earlier server could not store.
func (d *Deliverer) FindLog(s ergane.Session) {
	if LogLocation(s) == "" {
		return
	}
	if stored, err := d.files.LogStored(s.ID); err == nil && !stored {
		d.StoreLogLater(s)
	}
}

// LogPending reports whether the log of a session is still to be stored.
func (d *Deliverer) LogPending(id string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	_, pending := d.logs[id]
	return pending
}

// pendingLogs are the logs to store, in no order.
func (d *Deliverer) pendingLogs() []item {
	d.mu.Lock()
	defer d.mu.Unlock()
	var items []item
	for id, location := range d.logs {
		if !d.sessions.Live(id) {
			items = append(items, item{id: id, uri: location, deliver: func(ctx context.Context) error { return d.redeliverLog(ctx, id) }})
		}
	}
	return items
}

// redeliverLog tries once to store a pending log. Its file is removed after
// Config.LogsFor, whether it could be stored or not.
func (d *Deliverer) redeliverLog(ctx context.Context, id string) error {
	s, err := d.store.Session(ctx, id)
	gone := ergane.CodeOf(err) == ergane.CodeNotFound || err == nil && time.Since(s.Status.EndedAt) > d.cfg.LogsFor
	if err == nil && !gone {
		err = d.StoreLog(ctx, s)
	}
	switch {
	case gone:
		d.log.Warn("the log of a session was never stored where it was wanted", "session", id)
	case err != nil:
		return err
	default:
		d.log.Info("stored the log of a session that had ended", "session", id)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.logs, id)
	return nil
}
