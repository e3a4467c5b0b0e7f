package storesuite

import (
	"testing"
	"time"

	"github.com/ergane-dev/ergane"
)

var settling = map[string]func(*testing.T, *harness){
	"settling ends the calculation and frees the session": func(t *testing.T, h *harness) {
		s := h.idle()
		c := h.submit(s.ID, after(2*time.Second))
		h.moveC(ergane.CalculationStarts(c.ID, after(3*time.Second)))
		end := after(4 * time.Second)
		c, s, moved, err := h.Settle(h.ctx, complete(ergane.CalculationCompletes(c.ID, end), 1000), ergane.SessionFreed(s.ID, end))
		h.must(err)
		h.same("moved", moved, true)
		h.same("calculation", c.Status, ergane.CalculationStatus{State: ergane.CalculationCompleted, SubmittedAt: after(2 * time.Second), StartedAt: after(3 * time.Second), CompletedAt: end})
		h.same("session", s.Status, ergane.SessionStatus{State: ergane.SessionIdle, StartedAt: dawn, ModifiedAt: end, IdleSince: end})
		h.same("session's DPU ms", s.DpuMillis, int64(1000))
		h.same("stored calculation", h.calculation(c.ID), c)
		h.same("stored session", h.session(s.ID), s)
	},
	"a lost settling changes nothing": func(t *testing.T, h *harness) {
		s := h.idle()
		first := h.submit(s.ID, after(2*time.Second))
		h.finish(first, after(3*time.Second))
		second := h.submit(s.ID, after(4*time.Second))
		busy := h.session(s.ID)
		// The first one's end again, late: it must not free the session under the second.
		c, got, moved, err := h.Settle(h.ctx, complete(ergane.CalculationFails(first.ID, after(time.Minute), ""), 5), ergane.SessionFreed(s.ID, after(time.Minute)))
		h.must(err)
		h.same("moved", moved, false)
		h.same("calculation", c, h.calculation(first.ID))
		h.same("calculation's state", c.Status.State, ergane.CalculationCompleted)
		h.same("session in the answer", got, busy)
		h.same("session", h.session(s.ID), busy)
		h.same("second calculation", h.calculation(second.ID).Status.State, ergane.CalculationCreating)
	},
	"a terminated session stays so when its calculation settles": func(t *testing.T, h *harness) {
		s := h.idle()
		c := h.submit(s.ID, after(2*time.Second))
		h.move(ergane.SessionStopping(s.ID, after(3*time.Second), "asked"))
		c, s, moved, err := h.Settle(h.ctx, complete(ergane.CalculationCompletes(c.ID, after(4*time.Second)), 7), ergane.SessionFreed(s.ID, after(4*time.Second)))
		h.must(err)
		h.same("moved", moved, true)
		h.same("calculation", c.Status.State, ergane.CalculationCompleted)
		h.same("session", s.Status, ergane.SessionStatus{State: ergane.SessionTerminating, Reason: "asked", StartedAt: dawn, ModifiedAt: after(3 * time.Second)})
		h.same("session's DPU ms", s.DpuMillis, int64(7))
	},
	"a lost kernel fails the calculation and the session at once": func(t *testing.T, h *harness) {
		s := h.idle()
		c := h.submit(s.ID, after(2*time.Second))
		end := after(3 * time.Second)
		c, s, moved, err := h.Settle(h.ctx, ergane.CalculationFails(c.ID, end, "killed"), ergane.SessionLost(s.ID, end, "killed"))
		h.must(err)
		h.same("moved", moved, true)
		h.same("calculation", c.Status.State, ergane.CalculationFailed)
		h.same("session", s.Status, ergane.SessionStatus{State: ergane.SessionFailed, Reason: "killed", StartedAt: dawn, ModifiedAt: end, EndedAt: end})
	},
	"a calculation does not settle another session": func(t *testing.T, h *harness) {
		s, other := h.idle(), h.idle()
		c := h.submit(s.ID, after(2*time.Second))
		h.submit(other.ID, after(2*time.Second))
		_, _, _, err := h.Settle(h.ctx, ergane.CalculationCompletes(c.ID, after(time.Minute)), ergane.SessionFreed(other.ID, after(time.Minute)))
		h.fails(err, ergane.CodeInternal, "")
		h.same("calculation", h.calculation(c.ID).Status.State, ergane.CalculationCreating)
		h.same("other session", h.session(other.ID).Status.State, ergane.SessionBusy)
	},
	"a session's DPU milliseconds are those of its ended calculations": func(t *testing.T, h *harness) {
		s := h.idle()
		for _, ms := range []int64{5, 0, 70} {
			c := h.submit(s.ID, after(2*time.Second))
			h.setProgress(c.ID, ergane.CalculationStatistics{DpuMillis: 1})
			m := complete(ergane.CalculationFails(c.ID, after(3*time.Second), ""), ms)
			h.moveC(m)
			h.move(ergane.SessionFreed(s.ID, after(3*time.Second)))
			_, moved, err := h.MoveCalculation(h.ctx, m)
			h.must(err)
			h.same("moved again", moved, false)
		}
		h.same("DPU ms", h.session(s.ID).DpuMillis, int64(76))
	},
}
