package session_test

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/ergane-dev/ergane"
	"github.com/ergane-dev/ergane/internal/session"
	"github.com/ergane-dev/ergane/internal/testkit"
)

// A customer does one thing, whatever happens to the server meanwhile: a call
// that fails is repeated at the next server, with the same token, as SDKs do.
type customer struct {
	*harness
	door string // of this customer's code
	sid  string
	cid  string
	end  ending
	// next prepares the next server.
	next func()
}

// revive starts the next server if the present one has ended.
func (c *customer) revive() bool {
	select {
	case <-c.power.Gone():
		c.harness.kill()
	case <-c.end.closing:
		c.harness.stop()
		c.end.closing = nil
	default:
		return false
	}
	c.serve()
	c.next()
	return true
}

// ending is how and when a server ends.
type ending struct {
	name    string
	arm     func(e *ending, h *harness, n int) // ends the server at its n-th step
	closing chan struct{}                      // closed when it is asked to stop
}

var endings = []ending{
	{name: "killed before", arm: func(_ *ending, h *harness, n int) { h.power.CutAt(n, false) }},
	{name: "killed after", arm: func(_ *ending, h *harness, n int) { h.power.CutAt(n, true) }},
	{name: "stopped", arm: func(e *ending, h *harness, n int) {
		closing, m := make(chan struct{}), h.m
		e.closing = closing
		h.power.At(n, func() {
			close(closing)
			go m.Close()
			time.Sleep(time.Nanosecond) // until it has answered all that it will answer
		})
	}},
}

// call repeats a call until a server has answered it.
func (c *customer) call(do func() error) {
	c.Helper()
	for {
		err := do()
		if err == nil {
			return
		}
		if !c.revive() {
			c.Fatal(err)
		}
	}
}

// until waits for something that may take several servers.
func (c *customer) until(done func() bool) {
	c.Helper()
	testkit.Await(c, patience, func() bool {
		c.revive()
		return done()
	})
}

func (c *customer) start() {
	c.call(func() error {
		s, err := c.m.StartSession(c.ctx, key, session.StartRequest{WorkGroup: ergane.PrimaryWorkGroup,
			Tokens: []ergane.Token{{Scope: "StartSession", Value: c.door, Hash: "h"}}})
		c.sid = s.ID
		return err
	})
	c.until(func() bool { return c.session(c.sid).Status.State != ergane.SessionCreating })
}

func (c *customer) run(code string) {
	c.call(func() error {
		got, err := c.m.StartCalculation(c.ctx, session.CalculationRequest{SessionID: c.sid, Code: code,
			Tokens: []ergane.Token{{Scope: "StartCalculation", Value: c.door, Hash: "h"}}})
		c.cid = got.ID
		return err
	})
}

// waiting runs code up to its door.
func (c *customer) waiting() {
	c.run("print kept\nat " + c.door)
	c.until(func() bool {
		select {
		case <-c.machine.Reached(c.door):
			return true
		default:
			return false
		}
	})
}

func (c *customer) stop() {
	c.call(func() error { _, err := c.m.StopCalculation(c.ctx, c.cid); return err })
}

func (c *customer) terminate() {
	c.call(func() error { _, err := c.m.TerminateSession(c.ctx, c.sid); return err })
	c.until(func() bool { return c.session(c.sid).Status.State.Ended() })
}

// ended waits for the calculation's end and for the session's state after it, and checks both.
func (c *customer) ended(state ergane.CalculationState, reason string, then ergane.SessionState) {
	c.Helper()
	c.until(func() bool { return c.calculation(c.cid).Status.State.Terminal() })
	c.until(func() bool { return c.session(c.sid).Status.State == then })
	c.settled()
	c.calculationIs(c.cid, state, reason)
	if all, err := c.db.Calculations(c.ctx, c.sid, nil, ergane.Page{Limit: 10}); err != nil || len(all) != 1 {
		c.Errorf("%d calculations, %v", len(all), err)
	}
}

var tasks = map[string]func(*customer){
	"start": func(c *customer) {
		c.start()
		c.sessionIs(c.sid, ergane.SessionIdle, "")
	},
	"complete": func(c *customer) {
		c.start()
		c.run("print one\nwarn two\nshow {}")
		c.ended(ergane.CalculationCompleted, "", ergane.SessionIdle)
		c.delivered(c.cid, "one\n", "two\n", "{}\n")
		c.ran(c.cid, 1)
	},
	"run long": func(c *customer) {
		c.start()
		c.run("print one\nsleep 600ms\nprint two")
		c.ended(ergane.CalculationCompleted, "", ergane.SessionIdle)
		c.delivered(c.cid, "one\ntwo\n", "", "")
		c.ran(c.cid, 1)
	},
	"stop": func(c *customer) {
		c.start()
		c.waiting()
		c.stop()
		c.ended(ergane.CalculationCanceled, stopped, ergane.SessionIdle)
		c.delivered(c.cid, "kept\n", "", "")
		c.ran(c.cid, 1)
	},
	"terminate": func(c *customer) {
		c.start()
		c.waiting()
		c.terminate()
		c.ended(ergane.CalculationCanceled, "The calculation was canceled because its session was terminated", ergane.SessionTerminated)
		c.sessionIs(c.sid, ergane.SessionTerminated, terminated)
		c.delivered(c.cid, "kept\n", "", "")
	},
	"lose the kernel": func(c *customer) {
		c.start()
		c.run("print kept\nexit 7")
		c.ended(ergane.CalculationFailed, "the session's kernel exited with status 7", ergane.SessionFailed)
		c.sessionIs(c.sid, ergane.SessionFailed, "the session's kernel exited with status 7")
		c.delivered(c.cid, "kept\n", "", "")
		c.ran(c.cid, 1)
	},
}

// closes ends the customer's session and checks that nothing is left.
func (c *customer) closes() {
	c.Helper()
	if !c.session(c.sid).Status.State.Ended() {
		c.terminate()
	}
	c.settled()
	if c.machine.Alive(c.sid) {
		c.Error("the kernel lives")
	}
	es, err := c.db.Executors(c.ctx, c.sid, nil, ergane.Page{Limit: 10})
	c.must(err)
	for _, e := range es {
		if !e.State.Ended() {
			c.Errorf("executor %s is still %s", e.Name, e.State)
		}
	}
}

// ways are the ways in which sessions get their kernels.
var ways = map[string]session.Config{"cold": {}, "pooled": {Pool: session.Pool{Size: 1, Max: 3}}}

// The server ends at every single step, in every way; the next one completes the
// work, and the code runs once.
func TestServerThatEndsAtAnyStepChangesNoOutcome(t *testing.T) {
	for name, task := range tasks {
		for _, end := range endings {
			for way, cfg := range ways {
				t.Run(name+"/"+end.name+"/"+way, func(t *testing.T) {
					withHarness(t, cfg, func(h *harness) {
						for n, outlived := 1, false; !outlived && !h.Failed(); n++ {
							h.settled()
							power := h.power
							c := &customer{harness: h, door: fmt.Sprint("door ", n), end: end, next: func() {}}
							end.arm(&c.end, h, n)
							task(c)
							c.closes()
							outlived = power == h.power
							if outlived && n < 15 {
								h.Errorf("only %d steps", n)
							}
							if h.Failed() {
								h.Logf("ended at step %d of %v", n, power.Calls())
							}
							h.kill()
							h.serve()
						}
					})
				})
			}
		}
	}
}

// Servers end again and again, at any time, also while they recover.
func TestServersThatEndAllTheTimeChangeNoOutcome(t *testing.T) {
	for name, task := range tasks {
		for way, cfg := range ways {
			t.Run(name+"/"+way, func(t *testing.T) {
				withHarness(t, cfg, func(h *harness) {
					dice := rand.New(rand.NewPCG(3, uint64(len(name))))
					for n := range 20 {
						left := 10 // servers that end; then the task must come to its own end
						c := &customer{harness: h, door: fmt.Sprint("door ", n)}
						c.next = func() {
							if left--; left > 0 {
								c.end = endings[dice.IntN(len(endings))]
								c.end.arm(&c.end, h, 1+dice.IntN(40))
							}
						}
						c.next()
						task(c)
						c.closes()
						h.kill()
						h.serve()
						time.Sleep(time.Second)
					}
				})
			})
		}
	}
}
