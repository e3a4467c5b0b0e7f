package session_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/ergane-dev/ergane"
	"github.com/ergane-dev/ergane/internal/session"
)

func TestKernelDeathFailsTheCalculationAndTheSessionAndKeepsTheOutput(t *testing.T) {
	for name, c := range map[string]struct{ code, reason string }{
		"exit":   {"print kept\nwarn too\nshow {}\nexit 7", "the session's kernel exited with status 7"},
		"signal": {"print kept\nwarn too\nshow {}\nkill 11", "the session's kernel was killed by signal 11 (segmentation fault)"},
	} {
		t.Run(name, func(t *testing.T) {
			withHarness(t, session.Config{}, func(h *harness) {
				sid := h.idle()
				cid := h.submit(sid, c.code)
				h.awaitCalculation(cid, ergane.CalculationFailed)
				h.sessionIs(sid, ergane.SessionFailed, c.reason) // in the same commit
				h.calculationIs(cid, ergane.CalculationFailed, c.reason)
				h.delivered(cid, "kept\n", "too\n", "{}\n")
				if n := h.calculation(cid).Statistics.DpuMillis; n < 1 {
					h.Errorf("it ran and cost %d", n)
				}
				_, err := h.m.StartCalculation(h.ctx, session.CalculationRequest{SessionID: sid, Code: "print x"})
				h.fails(err, ergane.CodeState, "Session is in the FAILED state; needs to be IDLE to accept Calculations.")
				h.gone(sid)
			})
		})
	}
}

func TestKernelDeathWhileIdleFailsTheSessionWithTheDetail(t *testing.T) {
	withHarness(t, session.Config{}, func(h *harness) {
		sid := h.idle()
		h.machine.Kill(sid, ergane.Exit{Known: true, Signal: 9, Detail: "out of memory"})
		h.awaitSession(sid, ergane.SessionFailed)
		h.sessionIs(sid, ergane.SessionFailed, "the session's kernel was killed by signal 9 (killed): out of memory")
		h.gone(sid)
	})
}

// The kernel is dead, but the server has not noticed: the session still takes a calculation.
func TestCalculationSubmittedWhileTheSessionEndsAlsoEnds(t *testing.T) {
	for name, asked := range map[string]bool{"lost": false, "terminated": true} {
		t.Run(name, func(t *testing.T) {
			withHarness(t, session.Config{}, func(h *harness) {
				sid := h.idle()
				submitted := make(chan string, 1)
				h.store.Before(func(method string) {
					if method != "EndExecutors" {
						return
					}
					h.store.Before(nil)
					submitted <- h.submit(sid, "print never")
					if asked {
						h.must(terminate(h, sid))
					}
				})
				h.machine.Kill(sid, ergane.Exit{Known: true, Signal: 9})
				cid := <-submitted
				if asked {
					h.awaitCalculation(cid, ergane.CalculationCanceled)
					h.awaitSession(sid, ergane.SessionTerminated)
				} else {
					h.awaitCalculation(cid, ergane.CalculationFailed)
					h.awaitSession(sid, ergane.SessionFailed)
				}
				h.ran(cid, 0)
				h.gone(sid)
			})
		})
	}
}

func TestKernelDeathBeforeTheCodeStartedSaysThatItNeverStarted(t *testing.T) {
	withHarness(t, session.Config{}, func(h *harness) {
		sid := h.idle()
		h.machine.Set(faults{Untaken: &ergane.Exit{Known: true, Signal: 9}})
		cid := h.submit(sid, "print never")
		h.awaitCalculation(cid, ergane.CalculationFailed)
		h.calculationIs(cid, ergane.CalculationFailed, "the calculation never started: the session's kernel was killed by signal 9 (killed)")
		h.sessionIs(sid, ergane.SessionFailed, "the session's kernel was killed by signal 9 (killed)")
		h.delivered(cid, "", "", "")
		h.ran(cid, 0)
		if n := h.calculation(cid).Statistics.DpuMillis; n != 0 {
			h.Errorf("it never ran and cost %d", n)
		}
	})
}

// The last thing that the kernel reports is that it could not record the outcome.
func TestOutcomeThatCouldNotBeRecordedFailsCalculationAndSession(t *testing.T) {
	withHarness(t, session.Config{}, func(h *harness) {
		sid := h.idle()
		var states []ergane.SessionState
		h.store.Before(func(string) {
			if s, err := h.db.Session(h.ctx, sid); err == nil {
				states = append(states, s.Status.State)
			}
		})
		cid := h.submit(sid, "print kept\nunrecorded no space left on device")
		h.awaitCalculation(cid, ergane.CalculationFailed)
		h.awaitSession(sid, ergane.SessionFailed)
		h.settled()
		h.store.Before(nil)
		h.calculationIs(cid, ergane.CalculationFailed, "the kernel could not record the outcome: no space left on device")
		h.sessionIs(sid, ergane.SessionFailed, "the session's kernel exited with status 4")
		h.delivered(cid, "kept\n", "", "")
		for i, s := range states {
			if s == ergane.SessionIdle && i > 0 && states[i-1] == ergane.SessionBusy {
				h.Error("the session was shown IDLE although its kernel was dead")
			}
		}
		h.gone(sid)
	})
}

func TestDriverDeathDegradesTheSession(t *testing.T) {
	withHarness(t, session.Config{}, func(h *harness) {
		sid := h.idle()
		h.machine.KillDriver(sid)
		s := h.awaitSession(sid, ergane.SessionDegraded)
		if !strings.Contains(s.Status.Reason, "The Spark driver of the session died (it was killed by signal 9 (killed));") {
			h.Errorf("reason %q", s.Status.Reason)
		}
		_, err := h.m.StartCalculation(h.ctx, session.CalculationRequest{SessionID: sid, Code: "print x"})
		h.fails(err, ergane.CodeState, "Session is in the DEGRADED state; needs to be IDLE to accept Calculations. Its Spark driver has died: start a new session.")
		h.settled()
		h.executorsAre(sid, map[string]ergane.ExecutorState{"driver": ergane.ExecutorFailed, "kernel": ergane.ExecutorRegistered})

		h.machine.Kill(sid, ergane.Exit{Known: true, Code: 1})
		h.awaitSession(sid, ergane.SessionFailed)
		h.sessionIs(sid, ergane.SessionFailed, "the session's kernel exited with status 1")
	})
}

func TestAKillForWantOfMemoryIsInTheReasonOfTheFailure(t *testing.T) {
	withHarness(t, session.Config{}, func(h *harness) {
		sid := h.idle()
		for _, c := range []struct {
			code, reason string
			state        ergane.CalculationState
		}{
			{"raise ValueError: before", "ValueError: before", ergane.CalculationFailed},
			{"short out of memory: all of it\nraise SparkException: a worker is gone",
				"out of memory: all of it; Linux killed one of its processes: SparkException: a worker is gone", ergane.CalculationFailed},
			{"raise ValueError: after", "ValueError: after", ergane.CalculationFailed},
			{"short out of memory: all of it\nprint it did not matter", "", ergane.CalculationCompleted},
		} {
			cid := h.submit(sid, c.code)
			h.awaitCalculation(cid, c.state)
			h.settled()
			h.calculationIs(cid, c.state, c.reason)
		}
		h.machine.KillDriver(sid)
		h.awaitSession(sid, ergane.SessionDegraded)
		h.sessionIs(sid, ergane.SessionDegraded, "The Spark driver of the session died (it was killed by signal 9 (killed): out of memory: all of it); "+
			"its Python variables live on, but Spark does not. Start a new session.")
		h.must(terminate(h, sid))
		h.awaitSession(sid, ergane.SessionTerminated)
	})
}

func TestDriverDeathDuringACalculationLeavesItsOutcome(t *testing.T) {
	withHarness(t, session.Config{}, func(h *harness) {
		sid := h.idle()
		cid := h.at(sid, "gate", "driver")
		h.awaitSession(sid, ergane.SessionDegraded)
		h.machine.Let("gate")
		h.awaitCalculation(cid, ergane.CalculationCompleted)
		h.settled()
		if s := h.session(sid); s.Status.State != ergane.SessionDegraded {
			h.Errorf("session %s", s.Status.State)
		}
		h.must(terminate(h, sid))
		h.awaitSession(sid, ergane.SessionTerminated)
	})
}

func TestSessionThatCannotStartFailsWithTheReason(t *testing.T) {
	for name, c := range map[string]struct {
		faults faults
		reason string
	}{
		"no kernel": {faults{Start: errors.New("no Java was found")}, "the session's kernel did not start: no Java was found"},
		"refused":   {faults{Refusal: "IllegalArgumentException: spark.executor.cores must be positive"}, "IllegalArgumentException: spark.executor.cores must be positive"},
		"died":      {faults{Unready: &ergane.Exit{Known: true, Signal: 6}, ReadyTakes: time.Second}, "the session's kernel was killed by signal 6 (aborted)"},
	} {
		t.Run(name, func(t *testing.T) {
			withHarness(t, session.Config{}, func(h *harness) {
				h.machine.Set(c.faults)
				sid := h.begin()
				h.awaitSession(sid, ergane.SessionFailed)
				h.sessionIs(sid, ergane.SessionFailed, c.reason)
				h.gone(sid)
				h.machine.Set(faults{})
				h.idle() // the next one does
			})
		})
	}
}

func TestSessionThatCouldNeverStartIsRefused(t *testing.T) {
	withHarness(t, session.Config{}, func(h *harness) {
		h.machine.Set(faults{Check: ergane.Errorf(ergane.CodeInvalid, "spark.master belongs to the operator")})
		_, err := h.m.StartSession(h.ctx, key, session.StartRequest{WorkGroup: ergane.PrimaryWorkGroup})
		h.fails(err, ergane.CodeInvalid, "spark.master belongs to the operator")
		if all, err := h.m.Sessions(h.ctx, ergane.PrimaryWorkGroup, "", ergane.Page{Limit: 1}); err != nil || len(all) != 0 {
			h.Errorf("%d sessions, %v", len(all), err)
		}
	})
}

func TestCodeThatTheKernelRefusesFailsTheCalculationAlone(t *testing.T) {
	withHarness(t, session.Config{}, func(h *harness) {
		sid := h.idle()
		h.machine.Set(faults{Exec: errors.New("write code: no space left on device")})
		cid := h.submit(sid, "print x")
		h.awaitCalculation(cid, ergane.CalculationFailed)
		h.calculationIs(cid, ergane.CalculationFailed, "the code could not be handed to the session's kernel: write code: no space left on device")
		h.sessionIs(sid, ergane.SessionIdle, "")
		h.machine.Set(faults{})
		h.awaitCalculation(h.submit(sid, "print x"), ergane.CalculationCompleted)
	})
}

// The output is kept, although the outcome cannot be believed.
func TestOutcomeThatCannotBeReadFailsTheCalculationAlone(t *testing.T) {
	withHarness(t, session.Config{}, func(h *harness) {
		sid := h.idle()
		h.machine.Set(faults{Wait: errors.New("unusable outcome.json: unexpected end of JSON input")})
		cid := h.submit(sid, "print kept")
		h.awaitCalculation(cid, ergane.CalculationFailed)
		h.calculationIs(cid, ergane.CalculationFailed, "the outcome of the code cannot be read: unusable outcome.json: unexpected end of JSON input")
		h.delivered(cid, "kept\n", "", "")
		h.sessionIs(sid, ergane.SessionIdle, "")
		h.machine.Set(faults{})
		next := h.submit(sid, "print next")
		h.awaitCalculation(next, ergane.CalculationCompleted)
		h.delivered(next, "next\n", "", "")
	})
}

func TestOnlySoManyKernelsStartAtOnce(t *testing.T) {
	withHarness(t, session.Config{Starts: 2}, func(h *harness) {
		h.machine.Set(faults{StartTakes: 100 * time.Millisecond, ReadyTakes: 3 * time.Second})
		var ids []string
		for range 5 {
			ids = append(ids, h.begin())
		}
		for _, id := range ids {
			h.awaitSession(id, ergane.SessionIdle)
		}
		if n := h.machine.Crowd(); n != 2 {
			h.Errorf("%d were starting at once", n)
		}
	})
}
