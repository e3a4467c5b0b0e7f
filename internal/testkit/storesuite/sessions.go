package storesuite

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/ergane-dev/ergane"
)

var sessions = map[string]func(*testing.T, *harness){
	"a session comes back as it was created": func(t *testing.T, h *harness) {
		s := ergane.Session{
			ID: newID(), WorkGroup: h.workGroup("primary"), Owner: "server 1", Description: "line\nline\ttab 🧶",
			EngineVersion: ergane.EngineVersion{Selected: "AUTO", Effective: "PySpark engine version 3"},
			Engine: ergane.EngineConfiguration{
				CoordinatorDpuSize: 1, DefaultExecutorDpuSize: 1, MaxConcurrentDpus: 20,
				SparkProperties: map[string]string{"spark.a": "<&>"}, AdditionalConfigs: map[string]string{},
				Classifications: []ergane.Classification{{Name: ergane.SparkDefaults, Properties: map[string]string{"spark.b": "2"}}},
			},
			ExecutionRole: "arn:aws:iam::000000000000:role/r", IdleTimeout: 20 * time.Minute,
			WorkingDirectory: "s3://results/session/x", Encryption: &ergane.Encryption{Option: "SSE_S3"}, NotebookVersion: "Kepler-1",
			Tags: []ergane.Tag{{Key: "k", Value: "v"}}, BucketOwner: "000000000000", Monitoring: json.RawMessage(`{"b": 1, "a": [ ]}`),
			Status: ergane.SessionStatus{StartedAt: dawn.Add(7 * time.Millisecond)},
		}
		want := s
		want.Status.State, want.Status.ModifiedAt = ergane.SessionCreating, s.Status.StartedAt
		made, created, err := h.CreateSession(h.ctx, s, nil, ergane.Limits{})
		h.must(err)
		h.same("created", created, true)
		h.same("answer", made, want)
		h.same("session", h.session(s.ID), want)

		bare := ergane.Session{ID: newID(), WorkGroup: "primary", Status: ergane.SessionStatus{StartedAt: dawn}}
		want = bare
		want.Status.State, want.Status.ModifiedAt = ergane.SessionCreating, dawn
		h.same("bare session", h.creatingAs(bare), want)
	},
	"a session begins CREATING, whatever its status says": func(t *testing.T, h *harness) {
		s := h.creatingAs(ergane.Session{ID: newID(), WorkGroup: h.workGroup("primary"), DpuMillis: 7, Status: ergane.SessionStatus{
			State: ergane.SessionIdle, Reason: "because", StartedAt: dawn, ModifiedAt: after(time.Hour), EndedAt: dawn, IdleSince: dawn}})
		h.same("status", s.Status, ergane.SessionStatus{State: ergane.SessionCreating, StartedAt: dawn, ModifiedAt: dawn})
		h.same("DPU ms", s.DpuMillis, int64(0))
	},
	"an id is used once": func(t *testing.T, h *harness) {
		s := h.creating(h.workGroup("primary"), dawn)
		_, _, err := h.CreateSession(h.ctx, ergane.Session{ID: s.ID, WorkGroup: "primary", Description: "other", Status: s.Status}, nil, ergane.Limits{})
		h.fails(err, ergane.CodeInternal, "")
		h.same("session", h.session(s.ID), s)
	},
	"an unknown session is refused": func(t *testing.T, h *harness) {
		id := newID()
		sentence := "Session " + id + " was not found"
		page := ergane.Page{Limit: 1}
		_, err := h.Session(h.ctx, id)
		h.fails(err, ergane.CodeNotFound, sentence)
		_, _, err = h.MoveSession(h.ctx, ergane.SessionReady(id, dawn))
		h.fails(err, ergane.CodeNotFound, sentence)
		_, _, err = h.Submit(h.ctx, block(id, dawn), nil)
		h.fails(err, ergane.CodeNotFound, sentence)
		_, err = h.Calculations(h.ctx, id, nil, page)
		h.fails(err, ergane.CodeNotFound, sentence)
		_, err = h.OpenCalculations(h.ctx, id)
		h.fails(err, ergane.CodeNotFound, sentence)
		_, err = h.Executors(h.ctx, id, nil, page)
		h.fails(err, ergane.CodeNotFound, sentence)
		h.fails(h.SaveExecutors(h.ctx, []ergane.Executor{{ID: newID(), SessionID: id, State: ergane.ExecutorCreated}}), ergane.CodeNotFound, sentence)
		h.fails(h.EndExecutors(h.ctx, id, ergane.ExecutorTerminated, dawn), ergane.CodeNotFound, sentence)
	},
	"live sessions are those that have not ended, oldest first": func(t *testing.T, h *harness) {
		w := h.workGroup("primary")
		young := h.creating(w, after(time.Minute))
		old := h.creating(h.workGroup("other"), dawn)
		busy := h.idle()
		h.submit(busy.ID, after(2*time.Second))
		gone, lost := h.creating(w, dawn), h.creating(w, dawn)
		h.move(ergane.SessionStopping(gone.ID, dawn, "asked"))
		stopping := h.creating(w, after(time.Hour))
		h.move(ergane.SessionStopping(stopping.ID, after(2*time.Hour), "asked"))
		h.move(ergane.SessionStopped(gone.ID, dawn))
		h.move(ergane.SessionLost(lost.ID, dawn, "lost"))

		live, err := h.LiveSessions(h.ctx, "")
		h.must(err)
		h.same("live", ids(live), []string{old.ID, busy.ID, young.ID, stopping.ID})
		h.same("the last one", live[3], h.session(stopping.ID))
	},
}

func (h *harness) creatingAs(s ergane.Session) ergane.Session {
	h.Helper()
	_, created, err := h.CreateSession(h.ctx, s, nil, ergane.Limits{})
	h.must(err)
	h.same("created", created, true)
	return h.session(s.ID)
}
