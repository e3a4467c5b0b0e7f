package session

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/ergane-dev/ergane"
)

// logFor bounds how long the end of a session waits for its log to be stored.
const logFor = 30 * time.Second

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

// storeLog puts the driver's log of a session, whose kernel is gone, where the
// session wants it: <LogLocation>/<session>/driver.log, and driver.log.1 for
// the older part of a long one. The session's end does not hang on it.
func (r *runner) storeLog(ctx context.Context) {
	var s ergane.Session
	r.persist(ctx, "read the session", func() (err error) {
		s, err = r.m.store.Session(ctx, r.id)
		return err
	})
	location := logLocation(s)
	if location == "" {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, logFor)
	defer cancel()
	parts, err := r.m.host.Logs(r.id)
	for i, part := range parts {
		name := "driver.log"
		if older := len(parts) - 1 - i; older > 0 {
			name = fmt.Sprintf("driver.log.%d", older)
		}
		for err == nil {
			put := r.m.objects.Put(ctx, location+"/"+r.id+"/"+name, part, part.Len(), "text/plain; charset=utf-8", ergane.Delivery{Encryption: s.Encryption})
			if put == nil {
				break
			}
			if r.m.objects.Permanent(put) || !pause(ctx, time.Second) {
				err = put
			}
		}
		part.Close()
	}
	if err != nil {
		r.log.Warn("cannot store the session's log; ergane logs shows it", "location", location, "error", err)
	}
}
