package session_test

import (
	"strings"
	"testing"
	"time"

	"github.com/ergane-dev/ergane"
	"github.com/ergane-dev/ergane/internal/session"
)

func TestSessionRunsACalculationAndIsIdleAgain(t *testing.T) {
	withHarness(t, session.Config{}, func(h *harness) {
		sid := h.begin()
		if s := h.session(sid); s.IdleTimeout != session.DefaultIdleTimeout || s.WorkingDirectory != "s3://ergane-results/primary/session/"+sid {
			h.Errorf("idle timeout %v, working directory %s", s.IdleTimeout, s.WorkingDirectory)
		}
		h.awaitSession(sid, ergane.SessionIdle)
		cid := h.submit(sid, "print one\nwarn two\nshow {\"data\":{}}\nprint three")
		c := h.awaitCalculation(cid, ergane.CalculationCompleted)
		h.delivered(cid, "one\nthree\n", "two\n", "{\"data\":{}}\n")
		h.ran(cid, 1)
		if c.Status.Reason != "" || c.Statistics.DpuMillis < 1 || c.Statistics.Progress != "100%" {
			h.Errorf("completed with %+v, %+v", c.Status, c.Statistics)
		}
		if c.Status.StartedAt.IsZero() || c.Status.CompletedAt.IsZero() {
			h.Errorf("times are missing: %+v", c.Status)
		}
		h.sessionIs(sid, ergane.SessionIdle, "")
		if s := h.session(sid); s.DpuMillis != c.Statistics.DpuMillis {
			h.Errorf("session used %d, its only calculation %d", s.DpuMillis, c.Statistics.DpuMillis)
		}
	})
}

func TestCalculationsOfASessionEachGetTheirOwnOutput(t *testing.T) {
	withHarness(t, session.Config{}, func(h *harness) {
		sid := h.idle()
		for _, word := range []string{"first", "second", "third"} {
			cid := h.submit(sid, "print "+word+"\nwarn "+word)
			h.awaitCalculation(cid, ergane.CalculationCompleted)
			h.delivered(cid, word+"\n", word+"\n", "")
		}
	})
}

// A client that sees the end of a calculation finds its objects, and the session free.
func TestAnEndIsNeverSeenBeforeTheObjectsOrWithABusySession(t *testing.T) {
	for name, code := range map[string]string{
		"completed": "print out",
		"failed":    "print out\nraise ValueError: bad",
		"large":     "fill 1000000",
	} {
		t.Run(name, func(t *testing.T) {
			withHarness(t, session.Config{}, func(h *harness) {
				sid := h.idle()
				h.store.Before(func(method string) {
					open, err := h.db.OpenCalculations(h.ctx, sid)
					for _, c := range open {
						if c.Result != nil {
							h.Error("a result before the end")
						}
						for _, object := range []string{"/stdout", "/stderr", "/results"} {
							if _, ok := h.bucket.Object(c.WorkingDirectory + object); !ok && method == "Settle" {
								h.Errorf("about to end without %s", object)
							}
						}
					}
					if err != nil || method == "Settle" && len(open) != 1 {
						h.Errorf("%d calculations are open, error %v", len(open), err)
					}
				})
				cid := h.submit(sid, code)
				for {
					c := h.calculation(cid)
					if c.Status.State.Terminal() {
						break
					}
					time.Sleep(time.Millisecond)
				}
				h.sessionIs(sid, ergane.SessionIdle, "")
				next := h.submit(sid, "print next") // at once
				h.awaitCalculation(next, ergane.CalculationCompleted)
				h.store.Before(nil)
			})
		})
	}
}

func TestRunningCalculationsHardlyWrite(t *testing.T) {
	withHarness(t, session.Config{}, func(h *harness) {
		var running []string
		for range 10 {
			running = append(running, h.at(h.idle(), "gate", ""))
		}
		time.Sleep(showsRunning)
		before := len(h.power.Calls())
		time.Sleep(time.Minute)
		writes := 0
		for _, call := range h.power.Calls()[before:] {
			switch call {
			case "SetProgress", "MoveCalculation", "MoveSession", "SaveExecutors", "Settle":
				writes++
			}
		}
		if writes > 12 {
			h.Errorf("%d writes in a minute", writes)
		}
		for _, id := range running {
			if got := h.calculation(id).Statistics; got.Progress != "25%" || got.DpuMillis < 50_000 {
				h.Errorf("the store knows %+v", got)
			}
		}
		h.machine.Let("gate")
		for _, id := range running {
			h.awaitCalculation(id, ergane.CalculationCompleted)
		}
	})
}

// showsRunning is longer than it takes until a calculation is marked RUNNING.
const showsRunning = 10 * time.Second

func TestShortCalculationsAreNeverShownRunningAndLongOnesAre(t *testing.T) {
	withHarness(t, session.Config{}, func(h *harness) {
		sid := h.idle()
		moves := func() (n int) {
			for _, call := range h.power.Calls() {
				if call == "MoveCalculation" {
					n++
				}
			}
			return n
		}
		short := h.submit(sid, "sleep 10ms")
		h.awaitCalculation(short, ergane.CalculationCompleted)
		if n := moves(); n != 0 {
			h.Errorf("a short one took %d moves beside its end", n)
		}
		long := h.at(sid, "gate", "")
		time.Sleep(3 * time.Second)
		c := h.calculation(long)
		if c.Status.State != ergane.CalculationRunning || h.figures(long).Progress != "25%" || h.figures(long).DpuMillis < 2000 {
			h.Errorf("long one: %s, %+v", c.Status.State, h.figures(long))
		}
		h.machine.Let("gate")
		h.awaitCalculation(long, ergane.CalculationCompleted)
	})
}

// Clients cannot tell a cost of 0 from a missing one.
func TestCompletedCalculationAlwaysCostsSomething(t *testing.T) {
	withHarness(t, session.Config{}, func(h *harness) {
		cid := h.submit(h.idle(), "timeless\nprint x")
		if c := h.awaitCalculation(cid, ergane.CalculationCompleted); c.Statistics.DpuMillis != 1 || c.Status.StartedAt.Before(c.Status.SubmittedAt) && !c.Status.StartedAt.IsZero() {
			h.Errorf("%+v, %+v", c.Statistics, c.Status)
		}
	})
}

func TestCodeThatRaisesFailsWithTheLastLineOfTheTraceback(t *testing.T) {
	withHarness(t, session.Config{}, func(h *harness) {
		sid := h.idle()
		cid := h.submit(sid, "print before\nraise NameError: name 'foobar' is not defined\nprint after")
		h.awaitCalculation(cid, ergane.CalculationFailed)
		h.calculationIs(cid, ergane.CalculationFailed, "NameError: name 'foobar' is not defined")
		h.delivered(cid, "before\n", "  File \"<stdin>\", line 2, in <module>\nNameError: name 'foobar' is not defined\n", "")
		h.sessionIs(sid, ergane.SessionIdle, "")
	})
}

func TestBusySessionRefusesInTheWordsThatClientsMatch(t *testing.T) {
	withHarness(t, session.Config{}, func(h *harness) {
		sid := h.idle()
		cid := h.at(sid, "gate", "")
		_, err := h.m.StartCalculation(h.ctx, session.CalculationRequest{SessionID: sid, Code: "print x"})
		h.fails(err, ergane.CodeState, "Session is in the BUSY state; needs to be IDLE to accept Calculations.")
		h.machine.Let("gate")
		h.awaitCalculation(cid, ergane.CalculationCompleted)
	})
}

func TestCreatingSessionRefusesCalculations(t *testing.T) {
	withHarness(t, session.Config{}, func(h *harness) {
		h.machine.Set(faults{ReadyTakes: time.Minute})
		sid := h.begin()
		_, err := h.m.StartCalculation(h.ctx, session.CalculationRequest{SessionID: sid, Code: "print x"})
		h.fails(err, ergane.CodeState, "Session is in the CREATING state; needs to be IDLE to accept Calculations.")
		h.awaitSession(sid, ergane.SessionIdle)
	})
}

func TestCodeOf68000CharactersIsTheLongest(t *testing.T) {
	withHarness(t, session.Config{}, func(h *harness) {
		sid := h.idle()
		_, err := h.m.StartCalculation(h.ctx, session.CalculationRequest{SessionID: sid, Code: strings.Repeat("é", ergane.MaxCodeBlock+1)})
		if ergane.CodeOf(err) != ergane.CodeInvalid || !strings.Contains(err.Error(), "less than or equal to 68000") {
			h.Errorf("one too many: %v", err)
		}
		cid := h.submit(sid, "#"+strings.Repeat(" é", ergane.MaxCodeBlock/2)[:ergane.MaxCodeBlock])
		h.awaitCalculation(cid, ergane.CalculationCompleted)
	})
}

func TestUnknownIDsAreRefusedByName(t *testing.T) {
	withHarness(t, session.Config{}, func(h *harness) {
		const id = "019a0000-0000-7000-8000-000000000000"
		_, err := h.m.StartCalculation(h.ctx, session.CalculationRequest{SessionID: id, Code: "print x"})
		h.fails(err, ergane.CodeNotFound, "Session "+id+" was not found")
		_, err = h.m.TerminateSession(h.ctx, id)
		h.fails(err, ergane.CodeNotFound, "Session "+id+" was not found")
		_, err = h.m.StopCalculation(h.ctx, id)
		h.fails(err, ergane.CodeNotFound, "Calculation "+id+" was not found")
		_, err = h.m.Session(h.ctx, key, id)
		h.fails(err, ergane.CodeNotFound, "Session "+id+" was not found")
		_, err = h.m.Executors(h.ctx, id, "", ergane.Page{Limit: 1})
		h.fails(err, ergane.CodeNotFound, "Session "+id+" was not found")
		_, err = h.m.StartSession(h.ctx, key, session.StartRequest{WorkGroup: "nowhere"})
		h.fails(err, ergane.CodeNotFound, "WorkGroup is not found.")
	})
}
