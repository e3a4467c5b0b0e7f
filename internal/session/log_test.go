package session_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/ergane-dev/ergane"
	"github.com/ergane-dev/ergane/internal/session"
)

func TestTheLogGoesWhereTheSessionWantsIt(t *testing.T) {
	on := `{"S3LoggingConfiguration": {"Enabled": true, "LogLocation": "s3://logs/here/"}}`
	for _, c := range []struct {
		name, monitoring string
		parts            []string
		want             map[string]string // by name; absent ones must not be there
	}{
		{"in one part", on, []string{"all"}, map[string]string{"driver.log": "all"}},
		{"in two parts", on, []string{"old", "new"}, map[string]string{"driver.log.1": "old", "driver.log": "new"}},
		{"nothing was started", on, nil, nil},
		{"off", strings.Replace(on, "true", "false", 1), []string{"all"}, nil},
		{"nowhere", `{"S3LoggingConfiguration": {"Enabled": true}}`, []string{"all"}, nil},
		{"elsewhere", `{"ManagedLoggingConfiguration": {"Enabled": true}}`, []string{"all"}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			inHouse(t, session.Config{}, func(h *house) {
				h.machine.Set(faults{Logs: c.parts})
				s, err := h.m.StartSession(h.ctx, key, session.StartRequest{WorkGroup: "primary", Monitoring: json.RawMessage(c.monitoring)})
				h.must(err)
				h.awaitSession(s.ID, ergane.SessionIdle)
				h.must(terminate(h, s.ID))
				h.awaitSession(s.ID, ergane.SessionTerminated)
				for _, name := range []string{"driver.log", "driver.log.1"} {
					got, ok := h.bucket.Object("s3://logs/here/" + s.ID + "/" + name)
					if want, wanted := c.want[name]; got != want || ok != wanted {
						h.Errorf("%s: %q (there: %t), want %q", name, got, ok, want)
					}
				}
			})
		})
	}
}

func TestASessionEndsWithoutItsLogWhereThatCannotBeStored(t *testing.T) {
	inHouse(t, session.Config{}, func(h *house) {
		h.machine.Set(faults{Logs: []string{"all"}})
		h.bucket.Fail(func(uri string) error {
			if strings.HasPrefix(uri, "s3://logs") {
				return errors.New("no")
			}
			return nil
		})
		s, err := h.m.StartSession(h.ctx, key, session.StartRequest{WorkGroup: "primary",
			Monitoring: json.RawMessage(`{"S3LoggingConfiguration": {"Enabled": true, "LogLocation": "s3://logs"}}`)})
		h.must(err)
		h.awaitSession(s.ID, ergane.SessionIdle)
		h.must(terminate(h, s.ID))
		h.awaitSession(s.ID, ergane.SessionTerminated)
	})
}
