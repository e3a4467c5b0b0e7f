package storesuite

import (
	"encoding/json"
	"errors"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/ergane-dev/ergane"
)

var workGroups = map[string]func(*testing.T, *harness){
	"a workgroup comes back as it was created": func(t *testing.T, h *harness) {
		w := ergane.WorkGroup{
			Name: "a-b.c_1", Description: "it's \"ours\" — für alle 🧶", State: ergane.WorkGroupDisabled, CreatedAt: dawn.Add(123 * time.Millisecond),
			Configuration: ergane.WorkGroupConfiguration{
				EngineVersion:  ergane.EngineVersion{Selected: "AUTO", Effective: "PySpark engine version 3"},
				OutputLocation: "s3://results/a", ExecutionRole: "arn:aws:iam::000000000000:role/r",
				Engine:     &ergane.EngineConfiguration{MaxConcurrentDpus: 20, SparkProperties: map[string]string{"spark.sql.shuffle.partitions": "8"}},
				Encryption: &ergane.Encryption{Option: "SSE_KMS", KmsKey: "key"},
				Enforce:    true, BucketOwner: "000000000000", Monitoring: json.RawMessage(`{"a":[]}`),
				Echo: json.RawMessage(`{"EnforceWorkGroupConfiguration":true,"Note":"<a&b>"}`),
			},
			Tags: []ergane.Tag{{Key: "k", Value: "v"}, {Key: "", Value: ""}},
		}
		h.must(h.CreateWorkGroup(h.ctx, w))
		got, err := h.WorkGroup(h.ctx, w.Name)
		h.must(err)
		h.same("workgroup", got, w)

		bare := ergane.WorkGroup{Name: "bare", State: ergane.WorkGroupEnabled, CreatedAt: dawn}
		h.must(h.CreateWorkGroup(h.ctx, bare))
		got, err = h.WorkGroup(h.ctx, "bare")
		h.must(err)
		h.same("bare workgroup", got, bare)
	},
	"a workgroup's name is unique": func(t *testing.T, h *harness) {
		h.workGroup("primary")
		err := h.CreateWorkGroup(h.ctx, ergane.WorkGroup{Name: "primary", Description: "another", State: ergane.WorkGroupEnabled, CreatedAt: dawn})
		h.fails(err, ergane.CodeInvalid, "WorkGroup is already created")
		got, err := h.WorkGroup(h.ctx, "primary")
		h.must(err)
		h.same("description", got.Description, "")
		h.workGroup("Primary") // names differ by case
	},
	"an unknown workgroup is refused": func(t *testing.T, h *harness) {
		const sentence = "WorkGroup is not found."
		_, err := h.WorkGroup(h.ctx, "x")
		h.fails(err, ergane.CodeNotFound, sentence)
		_, err = h.Sessions(h.ctx, "x", nil, ergane.Page{Limit: 1})
		h.fails(err, ergane.CodeNotFound, sentence)
		_, _, err = h.CreateSession(h.ctx, ergane.Session{ID: newID(), WorkGroup: "x", Status: ergane.SessionStatus{StartedAt: dawn}}, nil, ergane.Limits{})
		h.fails(err, ergane.CodeNotFound, sentence)
	},
	"a workgroup is updated alone, or not at all": func(t *testing.T, h *harness) {
		h.workGroup("w")
		var group sync.WaitGroup
		for i := range 20 {
			group.Go(func() {
				_, err := h.UpdateWorkGroup(h.ctx, "w", func(w *ergane.WorkGroup) error {
					w.Tags = append(w.Tags, ergane.Tag{Key: strconv.Itoa(i)})
					return nil
				})
				if err != nil {
					h.Error(err)
				}
			})
		}
		group.Wait()
		before, err := h.WorkGroup(h.ctx, "w")
		h.must(err)
		h.same("number of tags", len(before.Tags), 20)

		got, err := h.UpdateWorkGroup(h.ctx, "w", func(w *ergane.WorkGroup) error {
			w.Description, w.State, w.Configuration.Enforce = "new", ergane.WorkGroupDisabled, true
			return nil
		})
		h.must(err)
		want := before
		want.Description, want.State, want.Configuration.Enforce = "new", ergane.WorkGroupDisabled, true
		h.same("updated", got, want)
		no := errors.New("no")
		if _, err := h.UpdateWorkGroup(h.ctx, "w", func(w *ergane.WorkGroup) error { w.Description = "x"; return no }); !errors.Is(err, no) {
			h.Errorf("the error of the change came back as %v", err)
		}
		after, err := h.WorkGroup(h.ctx, "w")
		h.must(err)
		h.same("after a change that failed", after, want)
		_, err = h.UpdateWorkGroup(h.ctx, "x", func(*ergane.WorkGroup) error { return nil })
		h.fails(err, ergane.CodeNotFound, "WorkGroup is not found.")
	},
	"the tags of a session are updated alone": func(t *testing.T, h *harness) {
		s := h.idle()
		h.must(h.UpdateSessionTags(h.ctx, s.ID, func(tags []ergane.Tag) ([]ergane.Tag, error) {
			return append(tags, ergane.Tag{Key: "a", Value: "b"}), nil
		}))
		want := s
		want.Tags = []ergane.Tag{{Key: "a", Value: "b"}}
		h.same("session", h.session(s.ID), want)
		no := errors.New("no")
		if err := h.UpdateSessionTags(h.ctx, s.ID, func([]ergane.Tag) ([]ergane.Tag, error) { return nil, no }); !errors.Is(err, no) {
			h.Errorf("the error of the change came back as %v", err)
		}
		h.same("session after a change that failed", h.session(s.ID), want)
		id := newID()
		h.fails(h.UpdateSessionTags(h.ctx, id, func(t []ergane.Tag) ([]ergane.Tag, error) { return t, nil }),
			ergane.CodeNotFound, "Session "+id+" was not found")
	},
	"a DISABLED workgroup takes nothing new, but what its tokens made is found": func(t *testing.T, h *harness) {
		token := []ergane.Token{{Scope: "s", Value: "v", Hash: "h"}}
		s := h.idle()
		again := ergane.Session{ID: newID(), WorkGroup: s.WorkGroup, Status: ergane.SessionStatus{StartedAt: dawn}}
		made, _, err := h.CreateSession(h.ctx, again, token, ergane.Limits{})
		h.must(err)
		calculationToken := []ergane.Token{{Scope: "c", Value: "v", Hash: "h"}}
		c, _, err := h.Submit(h.ctx, block(s.ID, after(time.Second)), calculationToken)
		h.must(err)
		h.finish(c, after(2*time.Second))
		_, err = h.UpdateWorkGroup(h.ctx, s.WorkGroup, func(w *ergane.WorkGroup) error { w.State = ergane.WorkGroupDisabled; return nil })
		h.must(err)

		sentence := "WorkGroup " + s.WorkGroup + " is disabled."
		_, _, err = h.CreateSession(h.ctx, ergane.Session{ID: newID(), WorkGroup: s.WorkGroup, Status: ergane.SessionStatus{StartedAt: dawn}}, nil, ergane.Limits{})
		h.fails(err, ergane.CodeInvalid, sentence)
		_, _, err = h.Submit(h.ctx, block(s.ID, after(time.Minute)), nil)
		h.fails(err, ergane.CodeInvalid, sentence)
		got, created, err := h.CreateSession(h.ctx, again, token, ergane.Limits{})
		h.must(err)
		h.same("session of the token", got.ID, made.ID)
		h.same("created", created, false)
		same, _, err := h.Submit(h.ctx, block(s.ID, after(time.Minute)), calculationToken)
		h.must(err)
		h.same("calculation of the token", same.ID, c.ID)
	},
	"a workgroup with sessions is removed only recursively, and with all of them": func(t *testing.T, h *harness) {
		empty := h.workGroup("empty")
		stopping, err := h.CondemnWorkGroup(h.ctx, empty, false, dawn, "")
		h.must(err)
		h.same("sessions of an empty workgroup", len(stopping), 0)
		h.purge(empty)
		h.workGroup(empty) // the name is free again

		other := h.submit(h.idle().ID, after(time.Second))
		token := []ergane.Token{{Scope: "s", Value: "v", Hash: "h"}}
		live := h.idle()
		name := live.WorkGroup
		c, _, err := h.Submit(h.ctx, block(live.ID, after(time.Second)), token)
		h.must(err)
		h.save(worker(live.ID, ergane.ExecutorRegistered, dawn))
		ended := h.creating(name, dawn)
		h.move(ergane.SessionLost(ended.ID, after(time.Second), "gone"))
		_, err = h.CondemnWorkGroup(h.ctx, name, false, dawn, "")
		h.fails(err, ergane.CodeState, "WorkGroup "+name+" is not empty")

		stopping, err = h.CondemnWorkGroup(h.ctx, name, true, after(2*time.Second), "the workgroup goes")
		h.must(err)
		if len(stopping) != 1 || stopping[0].ID != live.ID || stopping[0].Status.State != ergane.SessionTerminating || stopping[0].Status.Reason != "the workgroup goes" {
			h.Errorf("stopping %+v", stopping)
		}
		_, err = h.WorkGroup(h.ctx, name)
		h.fails(err, ergane.CodeNotFound, "WorkGroup is not found.")
		_, _, err = h.CreateSession(h.ctx, ergane.Session{ID: newID(), WorkGroup: name, Status: ergane.SessionStatus{StartedAt: dawn}}, nil, ergane.Limits{})
		h.fails(err, ergane.CodeNotFound, "WorkGroup is not found.")
		_, _, err = h.Submit(h.ctx, block(live.ID, after(time.Minute)), nil)
		h.fails(err, ergane.CodeState, "Session is in the TERMINATING state; needs to be IDLE to accept Calculations.")
		_, err = h.CondemnWorkGroup(h.ctx, name, true, dawn, "")
		h.fails(err, ergane.CodeNotFound, "WorkGroup is not found.")
		h.fails(h.CreateWorkGroup(h.ctx, ergane.WorkGroup{Name: name, State: ergane.WorkGroupEnabled, CreatedAt: dawn}), ergane.CodeInvalid, "WorkGroup "+name+" is being deleted; its name is free again in a moment.")
		list, err := h.WorkGroups(h.ctx, ergane.Page{Limit: 100})
		h.must(err)
		for _, w := range list {
			if w.Name == name {
				h.Error("a condemned workgroup is listed")
			}
		}

		now, err := h.PurgeWorkGroup(h.ctx, name)
		h.must(err)
		h.same("purged while a session lives", now, ergane.PurgeWaits)
		h.same("the live session", h.session(live.ID).Status.State, ergane.SessionTerminating)
		condemned, err := h.CondemnedWorkGroups(h.ctx)
		h.must(err)
		h.same("condemned", condemned, []string{name})
		h.moveC(ergane.CalculationStopping(c.ID, after(3*time.Second), "asked"))
		h.moveC(ergane.CalculationCancels(c.ID, after(3*time.Second), ""))
		h.move(ergane.SessionStopped(live.ID, after(4*time.Second)))
		h.purge(name)

		for _, id := range []string{live.ID, ended.ID} {
			_, err = h.Session(h.ctx, id)
			h.fails(err, ergane.CodeNotFound, "Session "+id+" was not found")
		}
		_, err = h.CalculationCode(h.ctx, c.ID)
		h.fails(err, ergane.CodeNotFound, "Calculation "+c.ID+" was not found")
		condemned, err = h.CondemnedWorkGroups(h.ctx)
		h.must(err)
		h.same("condemned afterwards", len(condemned), 0)
		h.calculation(other.ID) // that of another workgroup stays
		h.workGroup(name)
		next := h.move(ergane.SessionReady(h.creating(name, dawn).ID, after(time.Second)))
		_, created, err := h.Submit(h.ctx, block(next.ID, after(time.Second)), token)
		h.must(err)
		h.same("the token is free again", created, true)
	},
	"a workgroup with many calculations is removed step by step": func(t *testing.T, h *harness) {
		s := h.idle()
		for i := range 450 {
			h.finish(h.submit(s.ID, after(time.Duration(i)*time.Second)), after(time.Duration(i)*time.Second))
		}
		_, err := h.CondemnWorkGroup(h.ctx, s.WorkGroup, true, dawn, "")
		h.must(err)
		h.move(ergane.SessionStopped(s.ID, dawn))
		if n := h.purge(s.WorkGroup); n < 3 {
			h.Errorf("450 calculations went in %d steps", n)
		}
		_, err = h.Session(h.ctx, s.ID)
		h.fails(err, ergane.CodeNotFound, "")
	},
	"workgroups are listed by name, in pages": func(t *testing.T, h *harness) {
		for _, n := range []string{"b", "primary", "a", "a-1", "B", "a.1", "a_1"} {
			h.workGroup(n)
		}
		var names []string
		page := ergane.Page{Limit: 3}
		for {
			got, err := h.WorkGroups(h.ctx, page)
			h.must(err)
			if len(got) == 0 || len(names) > 100 {
				break
			}
			for _, w := range got {
				names = append(names, w.Name)
			}
			page.After = ergane.Key{ID: names[len(names)-1]}
		}
		h.same("names", names, []string{"B", "a", "a-1", "a.1", "a_1", "b", "primary"})
	},
}

// purge removes a condemned workgroup, and returns how many calls that took.
func (h *harness) purge(name string) int {
	h.Helper()
	for n := 1; n < 100; n++ {
		now, err := h.PurgeWorkGroup(h.ctx, name)
		h.must(err)
		if now == ergane.PurgeDone {
			return n
		}
		h.same("purge", now, ergane.PurgeGoes)
	}
	h.Fatalf("workgroup %s is not gone after 100 steps", name)
	return 0
}
