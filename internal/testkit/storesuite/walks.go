package storesuite

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/ergane-dev/ergane"
)

var walks = map[string]func(*testing.T, *harness){
	// Whatever is asked, in whatever order and at whatever time.
	"on a random walk every step is an edge and no time runs backwards": func(t *testing.T, h *harness) {
		w := h.workGroup("primary")
		rapid.Check(t, func(r *rapid.T) {
			s, _, err := h.CreateSession(h.ctx, sessionAt(w, dawn), nil, ergane.Limits{})
			check(r, err)
			var c ergane.Calculation // the last one
			for range rapid.IntRange(1, 25).Draw(r, "steps") {
				at := after(time.Duration(rapid.IntRange(-5000, 60_000).Draw(r, "at")) * time.Millisecond)
				switch n := rapid.IntRange(0, 9).Draw(r, "do"); n {
				case 0, 1:
					made, _, err := h.Submit(h.ctx, block(s.ID, at), nil)
					if taken := s.Status.State == ergane.SessionIdle; taken != (err == nil) {
						r.Fatalf("a submission while %s: %v", s.Status.State, err)
					}
					if err == nil {
						c = made
					}
				case 2, 3:
					if c.ID == "" {
						continue
					}
					m := rapid.SampledFrom(everyCalculationMove(c.ID, at)).Draw(r, "calculation")
					next, moved, err := h.MoveCalculation(h.ctx, m)
					check(r, err)
					c = stepC(r, c, next, moved, m)
				case 4, 5:
					if c.ID == "" {
						continue
					}
					m := rapid.SampledFrom([]ergane.CalculationMove{completed(c.ID, at), failed(c.ID, at), canceled(c.ID, at)}).Draw(r, "end")
					next, _, moved, err := h.Settle(h.ctx, m, ergane.SessionFreed(s.ID, at))
					check(r, err)
					c = stepC(r, c, next, moved, m)
				default:
					moves := everyMove(s.ID, at)
					if n < 9 {
						moves = moves[:3] // so that not every walk ends soon
					}
					m := rapid.SampledFrom(moves).Draw(r, "session")
					_, moved, err := h.MoveSession(h.ctx, m)
					check(r, err)
					if want := slices.Contains(m.From, s.Status.State); moved != want {
						r.Fatalf("%s → %s: moved is %v", s.Status.State, m.To, moved)
					}
				}
				next, err := h.Session(h.ctx, s.ID)
				check(r, err)
				step(r, s, next)
				s = next
			}
		})
	},
}

func check(r *rapid.T, err error) {
	if err != nil {
		r.Fatal(err)
	}
}

// step checks what one step may do to a session.
func step(r *rapid.T, was, is ergane.Session) {
	a, b := was.Status, is.Status
	if a.State != b.State && !legal(ergane.SessionEdges, a.State, b.State) {
		r.Fatalf("%s → %s", a.State, b.State)
	}
	problem := ""
	switch {
	case b.ModifiedAt.Before(a.ModifiedAt), !b.StartedAt.Equal(a.StartedAt):
		problem = "time ran backwards"
	case b.EndedAt.IsZero() == b.State.Ended(), b.State.Ended() && b.EndedAt.Before(b.StartedAt):
		problem = "the end is wrong"
	case b.IdleSince.IsZero() == (b.State == ergane.SessionIdle):
		problem = "the idle time is wrong"
	case was.DpuMillis > is.DpuMillis:
		problem = "DPU time shrank"
	case a.State.Ended() && a != b:
		problem = "an ended session changed"
	}
	if problem != "" {
		r.Fatalf("%s: %+v → %+v", problem, a, b)
	}
}

// stepC checks what one move may do to a calculation, and returns it as it is now.
func stepC(r *rapid.T, was, is ergane.Calculation, moved bool, m ergane.CalculationMove) ergane.Calculation {
	a, b := was.Status, is.Status
	problem := ""
	switch {
	case moved != slices.Contains(m.From, a.State):
		problem = fmt.Sprintf("moved is %v", moved)
	case !moved && a != b, a.State.Terminal() && a != b:
		problem = "it changed"
	case moved && !legal(ergane.CalculationEdges, a.State, b.State):
		problem = "no edge"
	case b.CompletedAt.IsZero() == b.State.Terminal():
		problem = "the end is wrong"
	case !b.StartedAt.IsZero() && b.StartedAt.Before(b.SubmittedAt), b.State.Terminal() && (b.CompletedAt.Before(b.StartedAt) || b.CompletedAt.Before(b.SubmittedAt)):
		problem = "time ran backwards"
	case b.State == ergane.CalculationCompleted && b.Reason != "":
		problem = "a reason on COMPLETED"
	}
	if problem != "" {
		r.Fatalf("%s: %+v → %+v by %s", problem, a, b, m.To)
	}
	return is
}

func legal[S ~string](edges []ergane.Edge[S], from, to S) bool {
	return slices.Contains(ergane.Sources(edges, to), from)
}
