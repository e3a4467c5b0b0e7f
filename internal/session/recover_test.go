package session_test

import (
	"errors"
	"fmt"
	"syscall"
	"testing"
	"time"

	"github.com/ergane-dev/ergane"
	"github.com/ergane-dev/ergane/internal/session"
)

// The end of a calculation that an earlier server left unfinished.
func TestAdoption(t *testing.T) {
	const lost = "the session's kernel was killed by signal 9 (killed)"
	type want struct {
		calculation ergane.CalculationState
		reason      string
		session     ergane.SessionState
		why         string
		runs        int
		stdout      string
	}
	for name, row := range map[string]struct {
		code      string
		prepare   faults // before the code is submitted
		reach     bool   // the code gets to the door before the server dies
		meanwhile func(*harness, string, string)
		want
	}{
		"outcome is there": {
			"print x\nat door", faults{}, true, func(h *harness, _, _ string) { h.machine.Let("door") },
			want{ergane.CalculationCompleted, "", ergane.SessionIdle, "", 1, "x\n"},
		},
		"outcome is a failure": {
			"print x\nat door\nraise ValueError: bad", faults{}, true, func(h *harness, _, _ string) { h.machine.Let("door") },
			want{ergane.CalculationFailed, "ValueError: bad", ergane.SessionIdle, "", 1, "x\n"},
		},
		"outcome is there, kernel is dead": {
			"print x\nat door", faults{}, true, func(h *harness, sid, _ string) {
				h.machine.Let("door")
				h.settled()
				h.machine.Kill(sid, ergane.Exit{Known: true, Signal: 9})
			},
			want{ergane.CalculationCompleted, "", ergane.SessionFailed, lost, 1, "x\n"},
		},
		"alive and running": {
			"print x\nat door\nprint y", faults{}, true, func(h *harness, _, _ string) {
				time.AfterFunc(time.Minute, func() { h.machine.Let("door") })
			},
			want{ergane.CalculationCompleted, "", ergane.SessionIdle, "", 1, "x\ny\n"},
		},
		"alive, never seen": {
			"print x", faults{Deaf: true}, false, func(h *harness, _, _ string) { h.machine.Set(faults{}) },
			want{ergane.CalculationCompleted, "", ergane.SessionIdle, "", 1, "x\n"},
		},
		"dead, started": {
			"print x\nat door", faults{}, true, func(h *harness, sid, _ string) { h.machine.Kill(sid, ergane.Exit{Known: true, Signal: 9}) },
			want{ergane.CalculationFailed, lost, ergane.SessionFailed, lost, 1, "x\n"},
		},
		"dead, not started": {
			"print x", faults{Deaf: true}, false, func(h *harness, sid, _ string) { h.machine.Kill(sid, ergane.Exit{Known: true, Signal: 9}) },
			want{ergane.CalculationFailed, "the calculation never started: " + lost, ergane.SessionFailed, lost, 0, ""},
		},
		"canceling, never started": {
			"print x", faults{Deaf: true}, false, func(h *harness, _, cid string) {
				h.moved(ergane.CalculationStopping(cid, time.Now(), stopped))
				h.machine.Set(faults{})
			},
			want{ergane.CalculationCanceled, stopped, ergane.SessionIdle, "", 0, ""},
		},
		"canceling, running": {
			"print x\nat door", faults{}, true, func(h *harness, _, cid string) { h.moved(ergane.CalculationStopping(cid, time.Now(), stopped)) },
			want{ergane.CalculationCanceled, stopped, ergane.SessionIdle, "", 1, "x\n"},
		},
		"canceling, dead": {
			"print x\nat door", faults{}, true, func(h *harness, sid, cid string) {
				h.moved(ergane.CalculationStopping(cid, time.Now(), stopped))
				h.machine.Kill(sid, ergane.Exit{Known: true, Signal: 9})
			},
			want{ergane.CalculationCanceled, stopped + " (" + lost + ")", ergane.SessionFailed, lost, 1, "x\n"},
		},
		"terminating, never started": {
			"print x", faults{Deaf: true}, false, func(h *harness, sid, _ string) {
				h.movedSession(ergane.SessionStopping(sid, time.Now(), terminated))
				h.machine.Set(faults{})
			},
			want{ergane.CalculationCanceled, "The calculation was canceled because its session was terminated", ergane.SessionTerminated, terminated, 0, ""},
		},
		"terminating, running": {
			"print x\nat door", faults{}, true, func(h *harness, sid, _ string) { h.movedSession(ergane.SessionStopping(sid, time.Now(), terminated)) },
			want{ergane.CalculationCanceled, "The calculation was canceled because its session was terminated", ergane.SessionTerminated, terminated, 1, "x\n"},
		},
		"terminating, dead": {
			"print x\nat door", faults{}, true, func(h *harness, sid, cid string) {
				h.movedSession(ergane.SessionStopping(sid, time.Now(), terminated))
				h.machine.Kill(sid, ergane.Exit{Known: true, Signal: 9})
			},
			want{ergane.CalculationCanceled, lost, ergane.SessionTerminated, terminated, 1, "x\n"},
		},
		"the machine was restarted": {
			"print x\nat door", faults{}, true, func(h *harness, _, _ string) { h.machine.Reboot() },
			want{ergane.CalculationFailed, "the session's kernel ended without leaving a record: the machine was restarted",
				ergane.SessionFailed, "the session's kernel ended without leaving a record: the machine was restarted", 1, "x\n"},
		},
		"the disk was lost": {
			"print x\nat door", faults{}, true, func(h *harness, sid, _ string) { h.machine.Lose(sid) },
			want{ergane.CalculationFailed, "nothing is left of the session's kernel on this machine",
				ergane.SessionFailed, "nothing is left of the session's kernel on this machine", 1, ""}, // what it printed is lost
		},
		"the driver died": {
			"print x\nat door", faults{}, true, func(h *harness, sid, _ string) {
				h.machine.KillDriver(sid)
				time.AfterFunc(time.Minute, func() { h.machine.Let("door") })
			},
			want{ergane.CalculationCompleted, "", ergane.SessionDegraded, degraded, 1, "x\n"},
		},
	} {
		for how, end := range map[string]func(*harness){"killed": (*harness).kill, "stopped": (*harness).stop} {
			t.Run(name+"/"+how, func(t *testing.T) {
				withHarness(t, session.Config{}, func(h *harness) {
					sid := h.idle()
					h.machine.Set(row.prepare)
					cid := h.submit(sid, row.code)
					if row.reach {
						<-h.machine.Reached("door")
					}
					h.settled()
					end(h)
					row.meanwhile(h, sid, cid)
					h.settled()
					h.serve()
					h.awaitEnd(cid)
					if row.session.Ended() {
						h.awaitSession(sid, row.session)
						h.gone(sid)
					}
					h.settled()
					h.calculationIs(cid, row.calculation, row.reason)
					h.sessionIs(sid, row.session, row.why)
					h.ran(cid, row.runs)
					h.delivered(cid, row.stdout, h.stderrOf(row.code, row.calculation), "")
				})
			})
		}
	}
}

const degraded = "The Spark driver of the session died (it was killed by signal 9 (killed)); its Python variables live on, but Spark does not. Start a new session."

// stderrOf is the traceback of the row whose code raises.
func (h *harness) stderrOf(code string, end ergane.CalculationState) string {
	if end == ergane.CalculationFailed && code == "print x\nat door\nraise ValueError: bad" {
		return "  File \"<stdin>\", line 3, in <module>\nValueError: bad\n"
	}
	return ""
}

// moved makes a move that the server does not see, like a server that died just after it.
func (h *harness) moved(m ergane.CalculationMove) {
	h.Helper()
	if _, moved, err := h.db.MoveCalculation(h.ctx, m); err != nil || !moved {
		h.Fatalf("moved %t, %v", moved, err)
	}
}

func (h *harness) movedSession(m ergane.SessionMove) {
	h.Helper()
	if _, moved, err := h.db.MoveSession(h.ctx, m); err != nil || !moved {
		h.Fatalf("moved %t, %v", moved, err)
	}
}

func TestNextServerAdoptsSessionsInEveryState(t *testing.T) {
	withHarness(t, session.Config{}, func(h *harness) {
		idle, spare := h.idle(), h.idle()
		h.machine.Set(faults{ReadyTakes: time.Minute})
		creating := h.begin() // its kernel is there, but not ready
		h.settled()
		h.machine.Set(faults{StartTakes: time.Hour})
		unborn := h.begin() // it has no kernel yet
		h.settled()
		h.kill()
		h.machine.Set(faults{})
		h.movedSession(ergane.SessionStopping(spare, time.Now(), terminated))
		h.serve()
		h.awaitSession(spare, ergane.SessionTerminated)
		h.awaitSession(creating, ergane.SessionIdle)
		h.awaitSession(unborn, ergane.SessionIdle)
		for _, sid := range []string{idle, creating, unborn} {
			h.awaitCalculation(h.submit(sid, "print x"), ergane.CalculationCompleted)
		}
		if n := h.machine.Started(); n != 4 {
			h.Errorf("%d kernels were started for four sessions", n)
		}
	})
}

func TestTerminateWorksRightAfterAdoption(t *testing.T) {
	withHarness(t, session.Config{}, func(h *harness) {
		sid := h.idle()
		h.kill()
		h.serve()
		h.ends(sid, time.Second)
	})
}

func TestSessionThatWasTerminatedBeforeItHadAKernelGetsNone(t *testing.T) {
	withHarness(t, session.Config{}, func(h *harness) {
		h.machine.Set(faults{StartTakes: time.Hour})
		sid := h.begin()
		h.settled()
		h.kill()
		h.movedSession(ergane.SessionStopping(sid, time.Now(), terminated))
		h.serve()
		h.awaitSession(sid, ergane.SessionTerminated)
		h.sessionIs(sid, ergane.SessionTerminated, terminated)
		if h.machine.Started() != 0 {
			h.Error("a kernel was started")
		}
	})
}

// That the kernel cannot be looked for does not mean that it is dead.
func TestKernelThatCannotBeReachedForAWhileIsNotGivenUp(t *testing.T) {
	withHarness(t, session.Config{}, func(h *harness) {
		sid := h.idle()
		cid := h.at(sid, "door", "print x")
		h.kill()
		h.machine.Set(faults{Adopt: errors.New("too many open files")})
		h.serve()
		time.Sleep(10 * time.Second)
		h.sessionIs(sid, ergane.SessionBusy, "")
		h.machine.Set(faults{})
		h.machine.Let("door")
		h.awaitCalculation(cid, ergane.CalculationCompleted)
		h.delivered(cid, "x\nthrough\n", "", "")
		h.ran(cid, 1)
	})
}

// However long that takes: the server lacks something, not the session.
func TestKernelThatCannotBeReachedForDaysIsNotGivenUp(t *testing.T) {
	withHarness(t, session.Config{}, func(h *harness) {
		sid := h.idle()
		cid := h.at(sid, "door", "print x")
		h.kill()
		h.machine.Set(faults{Adopt: fmt.Errorf("write epoch.json: %w", syscall.ENOSPC)})
		h.serve()
		time.Sleep(48 * time.Hour)
		h.sessionIs(sid, ergane.SessionBusy, "")
		s, err := h.m.Session(h.ctx, key, sid)
		h.must(err)
		if s.Status.Reason != "the session's kernel cannot be reached at present: write epoch.json: no space left on device" {
			h.Errorf("reason %q", s.Status.Reason)
		}
		h.machine.Set(faults{})
		h.machine.Let("door")
		h.awaitCalculation(cid, ergane.CalculationCompleted)
		h.delivered(cid, "x\nthrough\n", "", "")
		h.ran(cid, 1)
		s, err = h.m.Session(h.ctx, key, sid)
		h.must(err)
		if s.Status.State != ergane.SessionIdle || s.Status.Reason != "" {
			h.Errorf("%s (%s)", s.Status.State, s.Status.Reason)
		}
	})
}

func TestTerminateEndsAKernelThatCannotBeAdopted(t *testing.T) {
	for name, before := range map[string]bool{"terminated before the server started": true, "terminated meanwhile": false} {
		t.Run(name, func(t *testing.T) {
			withHarness(t, session.Config{}, func(h *harness) {
				sid := h.idle()
				cid := h.at(sid, "door", "print x")
				h.kill()
				h.machine.Set(faults{Adopt: syscall.ENOSPC, Expel: syscall.EMFILE})
				if before {
					h.movedSession(ergane.SessionStopping(sid, time.Now(), terminated))
				}
				h.serve()
				if !before {
					time.Sleep(time.Hour)
					h.must(terminate(h, sid))
				}
				time.Sleep(time.Hour)
				if !h.machine.Alive(sid) { // a kernel that cannot be ended lives, and so does its session
					h.Error("it is dead")
				}
				h.sessionIs(sid, ergane.SessionTerminating, terminated)
				h.machine.Set(faults{Adopt: syscall.ENOSPC})
				h.awaitSession(sid, ergane.SessionTerminated)
				if h.machine.Alive(sid) {
					h.Error("it lives")
				}
				h.awaitCalculation(cid, ergane.CalculationCanceled)
				h.delivered(cid, "x\n", "", "")
			})
		})
	}
}

func TestKernelWithAnUnusableHandleIsEndedAndFailsItsSession(t *testing.T) {
	withHarness(t, session.Config{}, func(h *harness) {
		sid := h.idle()
		h.kill()
		h.machine.Set(faults{Adopt: fmt.Errorf("%w: unusable handle.json", session.ErrLost)})
		h.serve()
		h.awaitSession(sid, ergane.SessionFailed)
		h.sessionIs(sid, ergane.SessionFailed, "the session's kernel cannot be reached: the record of the session's kernel is damaged: unusable handle.json")
		h.settled()
		h.gone(sid)
	})
}
