package storesuite

import (
	"slices"
	"testing"
	"time"

	"github.com/ergane-dev/ergane"
)

// complete adds DpuMillis and a result to a terminal move of a calculation.
func complete(m ergane.CalculationMove, dpuMillis int64) ergane.CalculationMove {
	m.DpuMillis, m.Result = dpuMillis, ergane.ResultAt("s3://b/x")
	return m
}

func completed(id string, at time.Time) ergane.CalculationMove {
	return complete(ergane.CalculationCompletes(id, at), 3)
}

func failed(id string, at time.Time) ergane.CalculationMove {
	return complete(ergane.CalculationFails(id, at, "the end"), 3)
}

func canceled(id string, at time.Time) ergane.CalculationMove {
	return complete(ergane.CalculationCancels(id, at, "the end"), 3)
}

// calculationPathsTo are the moves that bring a new calculation into each state.
var calculationPathsTo = map[ergane.CalculationState]func(id string, at time.Time) []ergane.CalculationMove{
	ergane.CalculationCreating: func(string, time.Time) []ergane.CalculationMove { return nil },
	ergane.CalculationRunning: func(id string, at time.Time) []ergane.CalculationMove {
		return []ergane.CalculationMove{ergane.CalculationStarts(id, at)}
	},
	ergane.CalculationCanceling: func(id string, at time.Time) []ergane.CalculationMove {
		return []ergane.CalculationMove{ergane.CalculationStarts(id, at), ergane.CalculationStopping(id, at, "asked")}
	},
	ergane.CalculationCanceled: func(id string, at time.Time) []ergane.CalculationMove {
		return []ergane.CalculationMove{ergane.CalculationStopping(id, at, "asked"), canceled(id, at)}
	},
	ergane.CalculationCompleted: func(id string, at time.Time) []ergane.CalculationMove {
		return []ergane.CalculationMove{completed(id, at)}
	},
	ergane.CalculationFailed: func(id string, at time.Time) []ergane.CalculationMove {
		return []ergane.CalculationMove{failed(id, at)}
	},
}

func everyCalculationMove(id string, at time.Time) []ergane.CalculationMove {
	return []ergane.CalculationMove{ergane.CalculationStarts(id, at), ergane.CalculationStopping(id, at, "stopping"),
		completed(id, at), failed(id, at), canceled(id, at)}
}

var calculationMoves = map[string]func(*testing.T, *harness){
	"a calculation moves from a move's source states only": func(t *testing.T, h *harness) {
		s := h.idle()
		for state, path := range calculationPathsTo {
			for i := range everyCalculationMove("", dawn) {
				c := h.submit(s.ID, after(time.Second))
				c.Code = ""
				for _, m := range path(c.ID, after(2*time.Second)) {
					c = h.moveC(m)
				}
				h.same("state", c.Status.State, state)
				m := everyCalculationMove(c.ID, after(time.Minute))[i]
				got, moved, err := h.MoveCalculation(h.ctx, m)
				h.must(err)
				if want := slices.Contains(m.From, state); moved != want {
					h.Errorf("%s → %s: moved is %v, want %v", state, m.To, moved, want)
				}
				if moved {
					h.same("answer's state", got.Status.State, m.To)
				} else {
					h.same("answer of a lost move", got, c)
				}
				h.same("calculation afterwards", h.calculation(c.ID), got)
				h.move(ergane.SessionFreed(s.ID, dawn))
			}
		}
	},
	"a calculation's status has the times of its moves": func(t *testing.T, h *harness) {
		c := h.submit(h.idle().ID, after(2*time.Second))
		want := ergane.CalculationStatus{State: ergane.CalculationRunning, SubmittedAt: after(2 * time.Second), StartedAt: after(3 * time.Second)}
		h.same("running", h.moveC(ergane.CalculationStarts(c.ID, after(3*time.Second))).Status, want)
		want.State, want.Reason = ergane.CalculationCanceling, "asked"
		h.same("canceling", h.moveC(ergane.CalculationStopping(c.ID, after(4*time.Second), "asked")).Status, want)
		want.State, want.CompletedAt = ergane.CalculationCanceled, after(5*time.Second)
		c = h.moveC(complete(ergane.CalculationCancels(c.ID, after(5*time.Second), ""), 9))
		h.same("canceled, for the reason it was stopped for", c.Status, want)
		h.same("statistics", c.Statistics, ergane.CalculationStatistics{DpuMillis: 9, Progress: "100%"})
		h.same("result", c.Result, ergane.ResultAt("s3://b/x"))
	},
	"a COMPLETED calculation has no reason": func(t *testing.T, h *harness) {
		c := h.submit(h.idle().ID, after(2*time.Second))
		h.moveC(ergane.CalculationStopping(c.ID, after(4*time.Second), "asked"))
		h.same("reason", h.moveC(completed(c.ID, after(time.Minute))).Status.Reason, "")
	},
	"a FAILED calculation has the reason of its failure": func(t *testing.T, h *harness) {
		c := h.submit(h.idle().ID, after(2*time.Second))
		h.moveC(ergane.CalculationStopping(c.ID, after(4*time.Second), "asked"))
		h.same("reason", h.moveC(ergane.CalculationFails(c.ID, dawn, "ValueError: x")).Status.Reason, "ValueError: x")
	},
	"a calculation's times never run backwards": func(t *testing.T, h *harness) {
		early, submitted := after(-time.Hour), after(2*time.Second)
		s := h.idle()
		c := h.submit(s.ID, submitted)
		h.moveC(ergane.CalculationStarts(c.ID, early))
		c = h.moveC(completed(c.ID, early))
		h.same("with an early start and end", c.Status, ergane.CalculationStatus{State: ergane.CalculationCompleted,
			SubmittedAt: submitted, StartedAt: submitted, CompletedAt: submitted})

		h.move(ergane.SessionFreed(s.ID, submitted))
		c = h.submit(s.ID, submitted)
		h.moveC(ergane.CalculationStarts(c.ID, after(time.Minute)))
		c = h.moveC(failed(c.ID, after(time.Second)))
		h.same("with an end before the start", c.Status, ergane.CalculationStatus{State: ergane.CalculationFailed, Reason: "the end",
			SubmittedAt: submitted, StartedAt: after(time.Minute), CompletedAt: after(time.Minute)})

		h.move(ergane.SessionFreed(s.ID, submitted))
		c = h.submit(s.ID, submitted)
		c = h.moveC(canceled(c.ID, early))
		h.same("without a start", c.Status, ergane.CalculationStatus{State: ergane.CalculationCanceled, Reason: "the end",
			SubmittedAt: submitted, CompletedAt: submitted})

		h.move(ergane.SessionFreed(s.ID, submitted))
		c = h.submit(s.ID, submitted)
		both := completed(c.ID, after(3*time.Second))
		both.StartedAt = after(time.Minute)
		h.same("with a start that only the end tells", h.moveC(both).Status, ergane.CalculationStatus{State: ergane.CalculationCompleted,
			SubmittedAt: submitted, StartedAt: after(time.Minute), CompletedAt: after(time.Minute)})
	},
}
