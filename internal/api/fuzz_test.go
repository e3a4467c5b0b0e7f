package api

import (
	"encoding/json"
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ergane-dev/ergane"
)

// FuzzHandler sends the whole server correctly signed requests of any target,
// body and one header. None may be answered with an internal error, and every
// answer must be one of the protocol.
func FuzzHandler(f *testing.F) {
	h := newHarness(f, filepath.Join(f.TempDir(), "ergane.db"))
	f.Cleanup(h.close)
	for _, sc := range scenarios {
		for _, s := range sc.steps {
			if operation, _, ok := strings.Cut(s.name, "/"); ok && len(s.body) < 2000 {
				f.Add("AmazonAthena."+operation, "Amz-Sdk-Invocation-Id", "x", s.body)
			}
		}
	}
	f.Add("AmazonAthena.ListWorkGroups", "Content-Encoding", "gzip", "\x1f\x8b\x08\x00\x00\x00\x00\x00")
	f.Add("AmazonAthena.ListWorkGroups", "Content-Type", "application/x-amz-json-1.1; charset=utf-8", "{}")
	f.Add("AmazonAthena.ListWorkGroups", "X-Amz-Content-Sha256", "UNSIGNED-PAYLOAD", "{}")
	f.Add("AmazonAthena.ListWorkGroups", "X-Amz-Security-Token", "a  b", "{}")
	f.Fuzz(func(t *testing.T, target, name, value, body string) {
		if name == "" || strings.Trim(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-") != "" ||
			strings.ContainsFunc(value+target, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }) {
			t.Skip("net/http refuses this header")
		}
		r := request(target, body)
		r.Header.Set(name, value)
		sign(r, body, testSecret, time.Now())
		w := h.send(r)
		operation := strings.TrimPrefix(target, "AmazonAthena.")
		switch w.Code {
		case http.StatusOK:
			if _, err := wireRules(operation, w); err != nil {
				t.Errorf("%s %q: %s\n%v", operation, body, w.Body, err)
			}
			var started struct{ SessionId string }
			if operation == "StartSession" && json.Unmarshal(w.Body.Bytes(), &started) == nil {
				h.call("TerminateSession", fmt.Sprintf(`{"SessionId":%q}`, started.SessionId))
			}
		case http.StatusNotFound:
			if w.Body.String() != "<UnknownOperationException/>\n" {
				t.Errorf("404 %s", w.Body)
			}
		case http.StatusBadRequest, http.StatusRequestEntityTooLarge:
			var e wireError
			if err := json.Unmarshal(w.Body.Bytes(), &e); err != nil || !strings.HasSuffix(e.Type, "Exception") {
				t.Errorf("%d %s", w.Code, w.Body)
			}
		default:
			t.Errorf("%d %s", w.Code, w.Body)
		}
	})
}

// FuzzPageKey gives lists pages that begin after any key at all, in tokens
// that this server might have made.
func FuzzPageKey(f *testing.F) {
	h := newHarness(f, filepath.Join(f.TempDir(), "ergane.db"))
	f.Cleanup(h.close)
	var started struct{ SessionId string }
	h.read(h.expect("StartSession", `{"WorkGroup":"primary","EngineConfiguration":{}}`), &started)
	session := started.SessionId
	f.Add(int64(0), "")
	f.Add(int64(-1<<63), "\x00'\"%")
	f.Add(int64(1<<63-1), "\xff\xfe")
	f.Add(int64(1700000000000), strings.Repeat("z", 1500))
	f.Fuzz(func(t *testing.T, at int64, id string) {
		after := ergane.Key{At: time.UnixMilli(at), ID: id}
		for _, list := range []struct {
			operation, body string
			selects         []string
		}{
			{"ListWorkGroups", `{`, []string{"workgroups"}},
			{"ListSessions", `{"WorkGroup":"primary",`, []string{"sessions", "primary", ""}},
			{"ListCalculationExecutions", `{"SessionId":"` + session + `",`, []string{"calculations", session, ""}},
			{"ListExecutors", `{"SessionId":"` + session + `",`, []string{"executors", session, ""}},
		} {
			_, token := cut(h.service, []ergane.Key{after, {}}, ergane.Page{Limit: 2}, itself, list.selects...)
			w := h.call(list.operation, list.body+`"NextToken":"`+*token+`"}`)
			e, err := wireRules(list.operation, w)
			if err != nil {
				t.Errorf("%s after %d %q: %d %s\n%v", list.operation, at, id, w.Code, w.Body, err)
			}
			if e != nil && (len(*token) <= 1024 || !strings.Contains(e.Message, "length")) {
				t.Errorf("%s after %d %q: %s", list.operation, at, id, e.Message)
			}
		}
	})
}
