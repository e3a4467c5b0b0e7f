package storesuite

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/ergane-dev/ergane"
)

var workGroups = map[string]func(*testing.T, *house){
	"a workgroup comes back as it was created": func(t *testing.T, h *house) {
		w := ergane.WorkGroup{
			Name: "a-b.c_1", Description: "it's \"ours\" — für alle 🧶", State: ergane.WorkGroupDisabled, CreatedAt: dawn.Add(123 * time.Millisecond),
			Configuration: ergane.WorkGroupConfiguration{
				EngineVersion:  ergane.EngineVersion{Selected: "AUTO", Effective: "PySpark engine version 3"},
				OutputLocation: "s3://results/a", ExecutionRole: "arn:aws:iam::000000000000:role/r",
				Engine:     &ergane.EngineConfiguration{MaxConcurrentDpus: 20, SparkProperties: map[string]string{"spark.sql.shuffle.partitions": "8"}},
				Encryption: &ergane.Encryption{Option: "SSE_KMS", KmsKey: "key"},
				Echo:       json.RawMessage(`{"EnforceWorkGroupConfiguration":true,"Note":"<a&b>"}`),
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
	"a workgroup's name is unique": func(t *testing.T, h *house) {
		h.workGroup("primary")
		err := h.CreateWorkGroup(h.ctx, ergane.WorkGroup{Name: "primary", Description: "another", State: ergane.WorkGroupEnabled, CreatedAt: dawn})
		h.fails(err, ergane.CodeInvalid, "WorkGroup is already created")
		got, err := h.WorkGroup(h.ctx, "primary")
		h.must(err)
		h.same("description", got.Description, "")
		h.workGroup("Primary") // names differ by case
	},
	"an unknown workgroup is refused": func(t *testing.T, h *house) {
		const sentence = "WorkGroup is not found."
		_, err := h.WorkGroup(h.ctx, "x")
		h.fails(err, ergane.CodeInvalid, sentence)
		_, err = h.Sessions(h.ctx, "x", nil, ergane.Page{Limit: 1})
		h.fails(err, ergane.CodeInvalid, sentence)
		_, _, err = h.CreateSession(h.ctx, ergane.Session{ID: newID(), WorkGroup: "x", Status: ergane.SessionStatus{StartedAt: dawn}}, nil)
		h.fails(err, ergane.CodeInvalid, sentence)
	},
	"workgroups are listed by name, in pages": func(t *testing.T, h *house) {
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
