package session_test

import (
	"testing"
	"time"

	"github.com/ergane-dev/ergane"
	"github.com/ergane-dev/ergane/internal/session"
)

// invocation is the implicit token of one call of an SDK and of its retries.
func invocation(value, hash string) []ergane.Token {
	return []ergane.Token{{Scope: key + "/StartCalculationExecution", Value: value, Hash: hash, Until: time.Now().Add(15 * time.Minute)}}
}

func TestResentCalculationRunsOnceInEveryStateOfTheSession(t *testing.T) {
	withHarness(t, session.Config{}, func(h *harness) {
		sid := h.idle()
		req := session.CalculationRequest{SessionID: sid, Code: "at gate\nprint once", Tokens: invocation("i1", "h")}
		first, err := h.m.StartCalculation(h.ctx, req)
		h.must(err)
		resend := func(when string) {
			again, err := h.m.StartCalculation(h.ctx, req)
			if err != nil || again.ID != first.ID {
				h.Errorf("%s: %s, %v; want %s", when, again.ID, err, first.ID)
			}
		}
		resend("submitted")
		<-h.machine.Reached("gate")
		resend("BUSY")
		h.machine.Let("gate")
		h.awaitCalculation(first.ID, ergane.CalculationCompleted)
		resend("IDLE again")
		h.must(terminate(h, sid))
		h.awaitSession(sid, ergane.SessionTerminated)
		resend("TERMINATED")
		h.ran(first.ID, 1)
		if all, err := h.m.Calculations(h.ctx, sid, "", ergane.Page{Limit: 10}); err != nil || len(all) != 1 {
			h.Errorf("%d calculations, %v", len(all), err)
		}
	})
}

func TestTokenWithOtherParametersIsRefused(t *testing.T) {
	withHarness(t, session.Config{}, func(h *harness) {
		sid := h.idle()
		_, err := h.m.StartCalculation(h.ctx, session.CalculationRequest{SessionID: sid, Code: "print a", Tokens: invocation("i1", "a")})
		h.must(err)
		_, err = h.m.StartCalculation(h.ctx, session.CalculationRequest{SessionID: sid, Code: "print b", Tokens: invocation("i1", "b")})
		h.fails(err, ergane.CodeMismatch, "Idempotent parameters do not match")
	})
}

func TestResentStartSessionStartsOneKernel(t *testing.T) {
	withHarness(t, session.Config{}, func(h *harness) {
		h.machine.Set(faults{StartTakes: 2 * time.Second})
		req := session.StartRequest{WorkGroup: ergane.PrimaryWorkGroup, Tokens: invocation("s1", "h")}
		var ids [3]string
		for i := range ids {
			s, err := h.m.StartSession(h.ctx, key, req)
			h.must(err)
			ids[i] = s.ID
			time.Sleep(time.Second)
		}
		h.awaitSession(ids[0], ergane.SessionIdle)
		if ids[1] != ids[0] || ids[2] != ids[0] || h.machine.Started() != 1 {
			h.Errorf("sessions %v, %d kernels", ids, h.machine.Started())
		}
	})
}

func TestResendAfterTheAnswerWasLostRunsOnce(t *testing.T) {
	withHarness(t, session.Config{}, func(h *harness) {
		sid := h.idle()
		h.store.Lose("Submit", 1)
		req := session.CalculationRequest{SessionID: sid, Code: "print once", Tokens: invocation("i1", "h")}
		if _, err := h.m.StartCalculation(h.ctx, req); err == nil {
			h.Fatal("the answer was not lost")
		}
		c, err := h.m.StartCalculation(h.ctx, req)
		h.must(err)
		h.awaitCalculation(c.ID, ergane.CalculationCompleted)
		h.ran(c.ID, 1)
	})
}
