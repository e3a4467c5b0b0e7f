package storesuite

import (
	"strings"
	"testing"
	"time"

	"github.com/ergane-dev/ergane"
)

var calculations = map[string]func(*testing.T, *harness){
	"a calculation comes back as it was submitted": func(t *testing.T, h *harness) {
		s := h.idle()
		c := ergane.Calculation{ID: newID(), SessionID: s.ID, Description: "naïve 🧶", WorkingDirectory: "s3://b/session/x/y",
			Code: "print('a')\n", Status: ergane.CalculationStatus{SubmittedAt: after(2 * time.Second)}}
		want := c
		want.Status.State = ergane.CalculationCreating
		made, created, err := h.Submit(h.ctx, c, nil)
		h.must(err)
		h.same("created", created, true)
		h.same("answer, with code", made, want)
		want.Code = ""
		h.same("calculation, without code", h.calculation(c.ID), want)
		list, err := h.Calculations(h.ctx, s.ID, nil, ergane.Page{Limit: 10})
		h.must(err)
		h.same("list, without code", list, []ergane.Calculation{want})
		h.same("session", h.session(s.ID).Status, ergane.SessionStatus{State: ergane.SessionBusy, StartedAt: dawn, ModifiedAt: after(2 * time.Second)})
	},
	"code comes back byte for byte": func(t *testing.T, h *harness) {
		s := h.idle()
		for _, code := range []string{"", "# a NUL \x00 in a comment", "x = '''\r\n\t ''' \\ \"", strings.Repeat("🧶", ergane.MaxCodeBlock)} {
			c := block(s.ID, after(time.Minute))
			c.Code = code
			_, _, err := h.Submit(h.ctx, c, nil)
			h.must(err)
			got, err := h.CalculationCode(h.ctx, c.ID)
			h.must(err)
			open, err := h.OpenCalculations(h.ctx, s.ID)
			h.must(err)
			if got != code || len(open) != 1 || open[0].Code != code {
				h.Errorf("%d bytes of code did not come back", len(code))
			}
			h.finish(c, after(time.Minute))
		}
	},
	"a session that is not IDLE takes no calculation": func(t *testing.T, h *harness) {
		w := h.workGroup("primary")
		for state, path := range pathsTo {
			if state == ergane.SessionIdle {
				continue
			}
			s := h.creating(w, dawn)
			for _, m := range path(s.ID, after(time.Second)) {
				s = h.move(m)
			}
			c := block(s.ID, after(time.Minute))
			_, _, err := h.Submit(h.ctx, c, nil)
			said := "Session is in the " + string(state) + " state; needs to be IDLE to accept Calculations."
			if state == ergane.SessionDegraded {
				said += " Its Spark driver has died: start a new session."
			}
			h.fails(err, ergane.CodeState, said)
			h.same("session", h.session(s.ID), s)
			_, err = h.Calculation(h.ctx, c.ID)
			h.fails(err, ergane.CodeNotFound, "")
		}
	},
	"a refused insertion leaves the session IDLE": func(t *testing.T, h *harness) {
		s := h.idle()
		c := h.submit(s.ID, after(time.Second))
		h.finish(c, after(2*time.Second))
		free := h.session(s.ID)
		_, _, err := h.Submit(h.ctx, c, nil) // the id is taken
		h.fails(err, ergane.CodeInternal, "")
		h.same("session", h.session(s.ID), free)
	},
	"a calculation is not submitted before the session's last change": func(t *testing.T, h *harness) {
		s := h.idle()
		c := h.submit(s.ID, after(-time.Hour))
		h.same("submitted", c.Status.SubmittedAt, s.Status.ModifiedAt)
		h.same("as stored", h.calculation(c.ID).Status.SubmittedAt, s.Status.ModifiedAt)
	},
	"an unknown calculation is refused": func(t *testing.T, h *harness) {
		s, id := h.idle(), newID()
		sentence := "Calculation " + id + " was not found"
		_, err := h.Calculation(h.ctx, id)
		h.fails(err, ergane.CodeNotFound, sentence)
		_, err = h.CalculationCode(h.ctx, id)
		h.fails(err, ergane.CodeNotFound, sentence)
		_, _, err = h.MoveCalculation(h.ctx, ergane.CalculationStarts(id, dawn))
		h.fails(err, ergane.CodeNotFound, sentence)
		_, _, _, err = h.Settle(h.ctx, ergane.CalculationCompletes(id, dawn), ergane.SessionFreed(s.ID, dawn))
		h.fails(err, ergane.CodeNotFound, sentence)
		h.fails(h.RecordDelivery(h.ctx, id, ergane.CalculationResult{}), ergane.CodeNotFound, sentence)
	},
	"open calculations are those that have not ended, oldest first": func(t *testing.T, h *harness) {
		s := h.idle()
		var ids []string
		for i, end := range []bool{false, true, false, false} {
			c := h.submit(s.ID, after(time.Duration(2+i)*time.Second))
			switch {
			case end:
				h.moveC(ergane.CalculationFails(c.ID, after(time.Minute), "x"))
			case i == 0:
				h.moveC(ergane.CalculationStarts(c.ID, after(time.Minute)))
			case i == 2:
				h.moveC(ergane.CalculationStopping(c.ID, after(time.Minute), "asked"))
			}
			if !end {
				ids = append(ids, c.ID)
			}
			h.move(ergane.SessionFreed(s.ID, after(time.Second)))
		}
		open, err := h.OpenCalculations(h.ctx, s.ID)
		h.must(err)
		var got []string
		for _, c := range open {
			got = append(got, c.ID)
			h.same("code", c.Code, "print(1)")
		}
		h.same("open", got, ids)
		none, err := h.OpenCalculations(h.ctx, h.idle().ID)
		h.must(err)
		h.same("of another session", len(none), 0)
	},
	"progress is kept until the end": func(t *testing.T, h *harness) {
		c := h.submit(h.idle().ID, after(2*time.Second))
		h.same("before the start", c.Statistics, ergane.CalculationStatistics{})
		c = h.moveC(ergane.CalculationStarts(c.ID, after(3*time.Second)))
		h.same("started", c.Statistics, ergane.CalculationStatistics{Progress: "0%"})
		h.setProgress(c.ID, ergane.CalculationStatistics{DpuMillis: 500, Progress: "40%"})
		h.same("running", h.calculation(c.ID).Statistics, ergane.CalculationStatistics{DpuMillis: 500, Progress: "40%"})
		h.setProgress(c.ID, ergane.CalculationStatistics{DpuMillis: 400, Progress: "30%"})
		h.same("DPU ms do not shrink", h.calculation(c.ID).Statistics, ergane.CalculationStatistics{DpuMillis: 500, Progress: "30%"})
		c = h.moveC(ergane.CalculationStopping(c.ID, after(4*time.Second), "asked"))
		h.same("canceling", c.Statistics, ergane.CalculationStatistics{DpuMillis: 500, Progress: "30%"})
		c = h.moveC(complete(ergane.CalculationCompletes(c.ID, after(5*time.Second)), 900))
		h.setProgress(c.ID, ergane.CalculationStatistics{DpuMillis: 2000, Progress: "50%"})
		h.same("ended", h.calculation(c.ID).Statistics, ergane.CalculationStatistics{DpuMillis: 900, Progress: "100%"})
	},
	"progress of many is one write": func(t *testing.T, h *harness) {
		one, other := h.submit(h.idle().ID, after(2*time.Second)), h.submit(h.idle().ID, after(2*time.Second))
		h.must(h.SetProgress(h.ctx, map[string]ergane.CalculationStatistics{one.ID: {Progress: "1%"}, newID(): {Progress: "3%"}, other.ID: {Progress: "2%"}}))
		h.same("one", h.calculation(one.ID).Statistics.Progress, "1%")
		h.same("other", h.calculation(other.ID).Statistics.Progress, "2%")
	},
	"a result appears once, after the end": func(t *testing.T, h *harness) {
		c := h.submit(h.idle().ID, after(2*time.Second))
		late, other := *ergane.ResultAt("s3://b/late"), *ergane.ResultAt("s3://b/other")
		h.must(h.RecordDelivery(h.ctx, c.ID, other))
		if r := h.calculation(c.ID).Result; r != nil {
			h.Errorf("a CREATING calculation has the result %v", r)
		}
		c = h.moveC(ergane.CalculationFails(c.ID, after(3*time.Second), "the results could not be stored"))
		if c.Result != nil {
			h.Errorf("a result came from nowhere: %v", c.Result)
		}
		h.must(h.RecordDelivery(h.ctx, c.ID, late))
		h.must(h.RecordDelivery(h.ctx, c.ID, other))
		h.same("result", h.calculation(c.ID).Result, &late)
		h.same("status", h.calculation(c.ID).Status, c.Status)
	},
}
