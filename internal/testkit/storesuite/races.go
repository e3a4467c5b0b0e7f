package storesuite

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ergane-dev/ergane"
)

// atOnce runs do n times at once and reports the errors it returns.
func (h *harness) atOnce(n int, do func(i int) error) {
	h.Helper()
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			if err := do(i); err != nil {
				h.Error(err)
			}
		})
	}
	wg.Wait()
}

var races = map[string]func(*testing.T, *harness){
	"of many submissions at once a session takes one": func(t *testing.T, h *harness) {
		s := h.idle()
		for range 5 {
			var taken atomic.Pointer[ergane.Calculation]
			h.atOnce(8, func(int) error {
				c, _, err := h.Submit(h.ctx, block(s.ID, after(time.Minute)), nil)
				if ergane.CodeOf(err) == ergane.CodeState {
					return nil
				}
				if err == nil && !taken.CompareAndSwap(nil, &c) {
					return fmt.Errorf("the session took two")
				}
				return err
			})
			if taken.Load() == nil {
				h.Fatal("the session took none")
			}
			h.finish(*taken.Load(), after(time.Minute))
		}
	},
	"of many calls with one token at once one creates": func(t *testing.T, h *harness) {
		s := h.idle()
		var created atomic.Int32
		ids := make([]string, 8)
		h.atOnce(8, func(i int) error {
			c, made, err := h.Submit(h.ctx, block(s.ID, after(time.Minute)), []ergane.Token{token("a", "1")})
			if made {
				created.Add(1)
			}
			ids[i] = c.ID
			return err
		})
		h.same("created", created.Load(), int32(1))
		for _, id := range ids {
			h.same("id", id, ids[0])
		}
	},
	"a calculation that is stopped and ends at once has one outcome": func(t *testing.T, h *harness) {
		for range 10 {
			s := h.idle()
			c := h.submit(s.ID, after(time.Minute))
			var ends atomic.Int32
			h.atOnce(3, func(i int) error {
				end := after(2 * time.Minute)
				m := []ergane.CalculationMove{ergane.CalculationStopping(c.ID, end, "asked"), complete(ergane.CalculationCompletes(c.ID, end), 1), complete(ergane.CalculationCancels(c.ID, end, ""), 1)}[i]
				if i == 0 {
					_, _, err := h.MoveCalculation(h.ctx, m)
					return err
				}
				got, _, moved, err := h.Settle(h.ctx, m, ergane.SessionFreed(s.ID, end))
				if moved {
					ends.Add(1)
					if got.Status.State != m.To {
						return fmt.Errorf("moved to %s and is %s", m.To, got.Status.State)
					}
				}
				return err
			})
			h.same("ends", ends.Load(), int32(1))
			h.same("session", h.session(s.ID).Status.State, ergane.SessionIdle)
			h.same("DPU ms", h.session(s.ID).DpuMillis, int64(1))
		}
	},
	"a read sees every write that came before": func(t *testing.T, h *harness) {
		w := h.workGroup("primary")
		h.atOnce(8, func(int) error {
			for range 25 {
				s, _, err := h.CreateSession(h.ctx, sessionAt(w, dawn), nil, ergane.Limits{})
				if err != nil {
					return err
				}
				if _, _, err = h.MoveSession(h.ctx, ergane.SessionReady(s.ID, dawn)); err != nil {
					return err
				}
				if s, err = h.Session(h.ctx, s.ID); err != nil {
					return err
				}
				if s.Status.State != ergane.SessionIdle {
					return fmt.Errorf("still %s", s.Status.State)
				}
			}
			return nil
		})
	},
	"a canceled call changes nothing": func(t *testing.T, h *harness) {
		s := h.idle()
		ctx, cancel := context.WithCancel(h.ctx)
		cancel()
		for range 20 {
			if _, _, err := h.MoveSession(ctx, ergane.SessionStopping(s.ID, after(time.Hour), "x")); err == nil {
				h.Fatal("a write came through")
			}
			if _, err := h.Session(ctx, s.ID); err == nil {
				h.Fatal("a read came through")
			}
		}
		h.same("session", h.session(s.ID), s)
	},
}
