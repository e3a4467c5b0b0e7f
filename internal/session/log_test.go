package session_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/ergane-dev/ergane"
	"github.com/ergane-dev/ergane/internal/session"
	"github.com/ergane-dev/ergane/internal/testkit"
	"github.com/ergane-dev/ergane/internal/testkit/fakehost"
)

func TestTheLogIsStoredWhereTheSessionWantsIt(t *testing.T) {
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
			withHarness(t, session.Config{}, func(h *harness) {
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

// logged starts a session that wants its log in s3://logs.
func (h *harness) logged() string {
	h.Helper()
	h.machine.Set(faults{Logs: []string{"all"}})
	s, err := h.m.StartSession(h.ctx, key, session.StartRequest{WorkGroup: "primary",
		Monitoring: json.RawMessage(`{"S3LoggingConfiguration": {"Enabled": true, "LogLocation": "s3://logs"}}`)})
	h.must(err)
	h.awaitSession(s.ID, ergane.SessionIdle)
	return s.ID
}

func (h *harness) awaitLog(sid string) {
	h.Helper()
	testkit.Await(h, patience, func() bool {
		log, ok := h.bucket.Object("s3://logs/" + sid + "/driver.log")
		return ok && log == "all"
	})
}

// The state of a session is true within two seconds, wherever its log is.
func TestASessionEndsBeforeItsLogIsStored(t *testing.T) {
	for name, unreachable := range map[string]func(*harness) (back func()){
		"unreachable": (*harness).unreachable,
		"hangs":       func(h *harness) func() { return h.bucket.Hang() },
		"denied": func(h *harness) func() {
			h.bucket.Fail(always("", fakehost.ErrDenied))
			return func() { h.bucket.Fail(nil) }
		},
	} {
		for _, restart := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, restart %t", name, restart), func(t *testing.T) {
				withHarness(t, session.Config{}, func(h *harness) {
					sid := h.logged()
					back := unreachable(h)
					h.machine.Kill(sid, ergane.Exit{Signal: 9})
					time.Sleep(2 * time.Second)
					h.sessionIs(sid, ergane.SessionFailed, "the session's kernel was killed by signal 9 (killed)")
					time.Sleep(time.Hour)
					if restart {
						h.kill()
						h.serve()
						time.Sleep(time.Hour)
					}
					if _, ok := h.bucket.Object("s3://logs/" + sid + "/driver.log"); ok {
						h.Error("stored while the store was unreachable")
					}
					back()
					h.awaitLog(sid)
				})
			})
		}
	}
}

func TestALogThatWasStoredIsNotStoredAgain(t *testing.T) {
	withHarness(t, session.Config{}, func(h *harness) {
		sid := h.logged()
		h.must(terminate(h, sid))
		h.awaitSession(sid, ergane.SessionTerminated)
		h.awaitLog(sid)
		puts := 0
		h.bucket.Fail(func(string) error { puts++; return nil })
		h.kill()
		h.serve()
		time.Sleep(3 * time.Hour)
		h.settled()
		if puts > 0 {
			h.Errorf("%d more puts", puts)
		}
	})
}

func TestALogIsPendingNoLongerThanItIsKept(t *testing.T) {
	withHarness(t, session.Config{LogsFor: 3 * time.Hour}, func(h *harness) {
		sid := h.logged()
		puts := 0
		h.bucket.Fail(func(string) error { puts++; return fakehost.ErrUnreachable })
		h.must(terminate(h, sid))
		h.awaitSession(sid, ergane.SessionTerminated)
		time.Sleep(5 * time.Hour)
		h.settled()
		before := puts
		time.Sleep(5 * time.Hour)
		h.settled()
		if before == 0 || puts != before {
			h.Errorf("%d puts, and %d after its time", before, puts-before)
		}
	})
}
