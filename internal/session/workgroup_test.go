package session_test

import (
	"context"
	"encoding/json"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ergane-dev/ergane"
	"github.com/ergane-dev/ergane/internal/session"
)

// in starts a session in a workgroup and waits until it is IDLE.
func (h *harness) in(workgroup string) string {
	h.Helper()
	s, err := h.m.StartSession(h.ctx, key, session.StartRequest{WorkGroup: workgroup})
	h.must(err)
	h.awaitSession(s.ID, ergane.SessionIdle)
	return s.ID
}

func (h *harness) workGroup(w ergane.WorkGroup) {
	h.Helper()
	h.must(h.m.CreateWorkGroup(h.ctx, w))
}

// unknown checks that nothing is left of a workgroup and its session.
func (h *harness) unknown(workgroup, sid string) {
	h.Helper()
	_, err := h.m.WorkGroup(h.ctx, workgroup)
	h.fails(err, ergane.CodeNotFound, "WorkGroup is not found.")
	_, err = h.db.Session(h.ctx, sid)
	h.fails(err, ergane.CodeNotFound, "Session "+sid+" was not found")
}

func TestDeletingAWorkGroupTerminatesItsLiveSessions(t *testing.T) {
	withHarness(t, session.Config{Hold: time.Second}, func(h *harness) {
		h.workGroup(ergane.WorkGroup{Name: "w"})
		sid, other := h.in("w"), h.idle()
		cid := h.at(sid, "door", "print before")
		h.fails(h.m.DeleteWorkGroup(h.ctx, "w", false), ergane.CodeState, "WorkGroup w is not empty")
		h.must(h.m.DeleteWorkGroup(h.ctx, "w", true))
		h.unknown("w", sid)
		h.ran(cid, 1)
		h.workGroup(ergane.WorkGroup{Name: "w"}) // the name is free
		h.sessionIs(other, ergane.SessionIdle, "")
		h.fails(h.m.DeleteWorkGroup(h.ctx, "primary", true), ergane.CodeInvalid, "WorkGroup primary cannot be deleted.")
	})
}

func TestDeletionGoesOnAfterTheServerWasKilled(t *testing.T) {
	withHarness(t, session.Config{}, func(h *harness) {
		h.workGroup(ergane.WorkGroup{Name: "w"})
		sid := h.in("w")
		h.at(sid, "door", "print before")
		h.store.Fail("PurgeWorkGroup", 1<<30)
		ctx, cancel := context.WithTimeout(h.ctx, time.Millisecond) // the client does not wait
		defer cancel()
		h.must(h.m.DeleteWorkGroup(ctx, "w", true))
		_, err := h.m.WorkGroup(h.ctx, "w")
		h.fails(err, ergane.CodeNotFound, "WorkGroup is not found.")
		h.kill()
		h.serve()
		for {
			names, err := h.db.CondemnedWorkGroups(h.ctx)
			h.must(err)
			if len(names) == 0 {
				break
			}
			time.Sleep(time.Second) // of the bubble
		}
		h.unknown("w", sid)
	})
}

func TestSessionTakesItsWorkGroupsSettings(t *testing.T) {
	properties := func(kv ...string) map[string]string {
		m := map[string]string{}
		for i := 0; i < len(kv); i += 2 {
			m[kv[i]] = kv[i+1]
		}
		return m
	}
	group := ergane.WorkGroupConfiguration{
		ExecutionRole: "group's", Monitoring: json.RawMessage(`"group's"`), BucketOwner: "000000000000",
		Encryption: &ergane.Encryption{Option: "SSE_S3"},
		Engine: &ergane.EngineConfiguration{MaxConcurrentDpus: 4, SparkProperties: properties("spark.a", "g", "spark.b", "g"),
			AdditionalConfigs: properties("x", "g", "y", "g")},
	}
	request := session.StartRequest{
		WorkGroup: "w", ExecutionRole: "own", Monitoring: json.RawMessage(`"own"`),
		Engine: ergane.EngineConfiguration{MaxConcurrentDpus: 8, SparkProperties: properties("spark.b", "o", "spark.c", "o"),
			AdditionalConfigs: properties("y", "o", "z", "o")},
	}
	for _, c := range []struct {
		name    string
		enforce bool
		req     session.StartRequest
		role    string
		dpus    int
		props   map[string]string
		more    map[string]string
	}{
		{"none of its own", false, session.StartRequest{WorkGroup: "w"}, "group's", 4, properties("spark.a", "g", "spark.b", "g"), properties("x", "g", "y", "g")},
		{"its own win", false, request, "own", 8, properties("spark.a", "g", "spark.b", "o", "spark.c", "o"), properties("x", "g", "y", "o", "z", "o")},
		{"the workgroup's are enforced", true, request, "group's", 4, properties("spark.a", "g", "spark.b", "g", "spark.c", "o"), properties("x", "g", "y", "g", "z", "o")},
	} {
		t.Run(c.name, func(t *testing.T) {
			withHarness(t, session.Config{}, func(h *harness) {
				w := ergane.WorkGroup{Name: "w", Configuration: group}
				w.Configuration.Enforce = c.enforce
				h.workGroup(w)
				s, err := h.m.StartSession(h.ctx, key, c.req)
				h.must(err)
				got := h.session(s.ID)
				want := got
				want.ExecutionRole, want.Monitoring, want.Engine.MaxConcurrentDpus = c.role, json.RawMessage(`"`+c.role+`"`), c.dpus
				want.Engine.SparkProperties, want.Engine.AdditionalConfigs = c.props, c.more
				want.BucketOwner, want.Encryption = group.BucketOwner, group.Encryption
				if diff := cmp.Diff(want, got); diff != "" {
					h.Errorf("session (-want +got):\n%s", diff)
				}
			})
		})
	}
}

func TestTagsOfTheWorkGroupAreCopied(t *testing.T) {
	withHarness(t, session.Config{}, func(h *harness) {
		h.workGroup(ergane.WorkGroup{Name: "w", Tags: []ergane.Tag{{Key: "team", Value: "a"}, {Key: "cost", Value: "1"}}})
		for _, c := range []struct {
			own  bool
			want []ergane.Tag
		}{
			{false, []ergane.Tag{{Key: "cost", Value: "2"}, {Key: "team", Value: "a"}}},
			{true, []ergane.Tag{{Key: "cost", Value: "2"}}},
		} {
			s, err := h.m.StartSession(h.ctx, key, session.StartRequest{WorkGroup: "w", OwnTagsOnly: c.own, Tags: []ergane.Tag{{Key: "cost", Value: "2"}}})
			h.must(err)
			if diff := cmp.Diff(c.want, h.session(s.ID).Tags); diff != "" {
				h.Errorf("own tags only: %v (-want +got):\n%s", c.own, diff)
			}
		}
	})
}

func TestInvalidTagsAreRefused(t *testing.T) {
	withHarness(t, session.Config{}, func(h *harness) {
		many := make([]ergane.Tag, 51)
		for i := range many {
			many[i].Key = string(rune('a' + i))
		}
		for _, c := range []struct {
			tags     []ergane.Tag
			sentence string
		}{
			{[]ergane.Tag{{Value: "v"}}, "A tag needs a key."},
			{[]ergane.Tag{{Key: "AWS:x"}}, `Tag keys that begin with "aws:" are reserved.`},
			{[]ergane.Tag{{Key: "a"}, {Key: "a"}}, `The tag key "a" is given twice.`},
			{many, "There would be 51 tags; a resource has at most 50."},
		} {
			_, err := h.m.StartSession(h.ctx, key, session.StartRequest{WorkGroup: "primary", Tags: c.tags})
			h.fails(err, ergane.CodeInvalid, c.sentence)
			h.fails(h.m.CreateWorkGroup(h.ctx, ergane.WorkGroup{Name: "w", Tags: c.tags}), ergane.CodeInvalid, c.sentence)
		}
	})
}

func TestConfigurationThatCannotWorkIsRefused(t *testing.T) {
	withHarness(t, session.Config{Account: "000000000000"}, func(h *harness) {
		for _, c := range []struct {
			configuration ergane.WorkGroupConfiguration
			sentence      string
		}{
			{ergane.WorkGroupConfiguration{OutputLocation: "https://x/y"}, `OutputLocation "https://x/y" is not an s3:// address, for instance s3://my-bucket/results`},
			{ergane.WorkGroupConfiguration{OutputLocation: "s3://b/a//c"}, `OutputLocation "s3://b/a//c" cannot be used: no address`},
			{ergane.WorkGroupConfiguration{BucketOwner: "123456789012"}, "ExpectedBucketOwner is 123456789012, but the buckets of the embedded S3 belong to 000000000000."},
			{ergane.WorkGroupConfiguration{Encryption: &ergane.Encryption{Option: "CSE_KMS", KmsKey: "k"}}, "EncryptionOption CSE_KMS is not offered; use SSE_S3 or SSE_KMS."},
			{ergane.WorkGroupConfiguration{Encryption: &ergane.Encryption{Option: "SSE_KMS"}}, "KmsKey is required with EncryptionOption SSE_KMS."},
		} {
			h.fails(h.m.CreateWorkGroup(h.ctx, ergane.WorkGroup{Name: "w", Configuration: c.configuration}), ergane.CodeInvalid, c.sentence)
			err := h.m.UpdateWorkGroup(h.ctx, "primary", func(w *ergane.WorkGroup) error { w.Configuration = c.configuration; return nil })
			h.fails(err, ergane.CodeInvalid, c.sentence)
		}
		h.workGroup(ergane.WorkGroup{Name: "w", Configuration: ergane.WorkGroupConfiguration{BucketOwner: "000000000000", Encryption: &ergane.Encryption{Option: "SSE_S3"}}})
	})
}

func TestRunnerEndsWhenItsSessionIsPurgedMeanwhile(t *testing.T) {
	withHarness(t, session.Config{}, func(h *harness) {
		h.workGroup(ergane.WorkGroup{Name: "w"})
		sid := h.in("w")
		h.at(sid, "door", "print before")
		deleted := make(chan struct{})
		h.store.Before(func(method string) {
			if method == "EndExecutors" { // after the calculation's end has made the session FAILED
				h.store.Before(nil)
				h.must(h.m.DeleteWorkGroup(h.ctx, "w", true))
				close(deleted)
			}
		})
		h.machine.Kill(sid, ergane.Exit{Known: true, Signal: 9})
		select {
		case <-deleted:
		case <-time.After(time.Minute): // EndExecutors was not called
			h.store.Before(nil)
			h.must(h.m.DeleteWorkGroup(h.ctx, "w", true))
		}
		time.Sleep(time.Minute) // of the bubble
		if n := h.m.Live(); n != 0 {
			h.Errorf("%d runners are left", n)
		}
		h.unknown("w", sid)
	})
}

func TestRepeatedStartGetsItsSessionEvenIfTheSettingsHaveChanged(t *testing.T) {
	withHarness(t, session.Config{}, func(h *harness) {
		req := session.StartRequest{WorkGroup: "primary", Tokens: invocation("s1", "h")}
		first, err := h.m.StartSession(h.ctx, key, req)
		h.must(err)
		h.machine.Set(faults{Check: ergane.Errorf(ergane.CodeInvalid, "not any more")})
		again, err := h.m.StartSession(h.ctx, key, req)
		h.must(err)
		if again.ID != first.ID {
			h.Error("another session for the same token")
		}
		req.Tokens = invocation("s1", "other")
		_, err = h.m.StartSession(h.ctx, key, req)
		h.fails(err, ergane.CodeMismatch, "Idempotent parameters do not match")
	})
}

func TestWorkGroupWhoseSettingsBecameImpossibleCanStillBeDisabled(t *testing.T) {
	withHarness(t, session.Config{}, func(h *harness) {
		h.workGroup(ergane.WorkGroup{Name: "w", Configuration: ergane.WorkGroupConfiguration{BucketOwner: "123456789012"}})
		h.stop()
		h.cfg.Account = "000000000000"
		h.serve()
		h.must(h.m.UpdateWorkGroup(h.ctx, "w", func(w *ergane.WorkGroup) error { w.State = ergane.WorkGroupDisabled; return nil }))
		err := h.m.UpdateWorkGroup(h.ctx, "w", func(w *ergane.WorkGroup) error { w.Configuration.Enforce = true; return nil })
		h.fails(err, ergane.CodeInvalid, "ExpectedBucketOwner is 123456789012, but the buckets of the embedded S3 belong to 000000000000.")
	})
}
