package session_test

import (
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ergane-dev/ergane"
	"github.com/ergane-dev/ergane/internal/session"
	"github.com/ergane-dev/ergane/internal/testkit"
	"github.com/ergane-dev/ergane/internal/testkit/fakehost"
)

// over runs a session with one calculation to its end, and returns the calculation.
func (h *harness) over() ergane.Calculation {
	h.Helper()
	sid := h.idle()
	cid := h.submit(sid, "print one\nwarn two\nshow {}")
	h.awaitCalculation(cid, ergane.CalculationCompleted)
	h.ends(sid, time.Minute)
	return h.calculation(cid)
}

// there reports whether a session is in the store.
func (h *harness) there(sid string) bool {
	h.Helper()
	_, err := h.db.Session(h.ctx, sid)
	if err != nil && ergane.CodeOf(err) != ergane.CodeNotFound {
		h.Fatal(err)
	}
	return err == nil
}

// objectsOf counts the objects of a calculation.
func (h *harness) objectsOf(c ergane.Calculation) (n int) {
	for _, uri := range []string{c.Result.StdOut, c.Result.StdErr, c.Result.Results} {
		if _, ok := h.bucket.Object(uri); ok {
			n++
		}
	}
	return n
}

func TestSessionsAreKeptForeverByDefault(t *testing.T) {
	withHarness(t, session.Config{LogsFor: time.Hour}, func(h *harness) {
		c := h.over()
		time.Sleep(100 * time.Hour)
		if !h.there(c.SessionID) {
			h.Error("the session is gone")
		}
		h.delivered(c.ID, "one\n", "two\n", "{}\n")
	})
}

func TestSessionsAreRemovedWhenTheirTimeIsOver(t *testing.T) {
	for _, objects := range []bool{false, true} {
		withHarnessNamed(t, map[bool]string{false: "and leave their objects", true: "with their objects"}[objects],
			session.Config{Keep: session.Retention{For: 24 * time.Hour, Objects: objects}}, func(h *harness) {
				c := h.over()
				const foreign = "s3://ergane-results/primary/of/the/user"
				h.must(h.bucket.Objects(h.power).Put(h.ctx, foreign, strings.NewReader("x"), 1, "text/plain", ergane.Delivery{}))
				lives := h.idleFor(72 * time.Hour)
				time.Sleep(23 * time.Hour)
				if !h.there(c.SessionID) {
					h.Error("the session is gone too early")
				}
				h.delivered(c.ID, "one\n", "two\n", "{}\n")
				time.Sleep(time.Hour + 5*time.Minute)
				if h.there(c.SessionID) {
					h.Error("the session is still there")
				}
				if _, logs := h.machine.Has(c.SessionID); logs {
					h.Error("its logs are still there")
				}
				want := map[bool]int{false: 3, true: 0}[objects]
				if n := h.objectsOf(c); n != want {
					h.Errorf("%d of its objects are there, want %d", n, want)
				}
				if _, ok := h.bucket.Object(foreign); !ok {
					h.Error("an object is gone that Ergane did not write")
				}
				h.sessionIs(lives, ergane.SessionIdle, "")
				h.meter.mu.Lock()
				defer h.meter.mu.Unlock()
				if s, o := h.meter.counts["expired session"], h.meter.counts["expired object"]; s != 1 || o != 3-want {
					h.Errorf("counted %d sessions and %d objects", s, o)
				}
			})
	}
}

func TestAWorkGroupKeepsItsSessionsForItsOwnTime(t *testing.T) {
	keep := session.Retention{For: time.Hour, WorkGroups: map[string]time.Duration{"brief": 10 * time.Minute, "lasting": 0}}
	withHarness(t, session.Config{Keep: keep}, func(h *harness) {
		of := map[string]string{}
		for _, w := range []string{ergane.PrimaryWorkGroup, "brief", "lasting"} {
			if w != ergane.PrimaryWorkGroup {
				h.must(h.m.CreateWorkGroup(h.ctx, ergane.WorkGroup{Name: w}))
			}
			s, err := h.m.StartSession(h.ctx, key, session.StartRequest{WorkGroup: w})
			h.must(err)
			of[w] = s.ID
		}
		for _, id := range of {
			h.awaitSession(id, ergane.SessionIdle)
			h.must(terminate(h, id))
			h.awaitSession(id, ergane.SessionTerminated)
		}
		time.Sleep(20 * time.Minute)
		if h.there(of["brief"]) || !h.there(of["primary"]) || !h.there(of["lasting"]) {
			h.Error("after 20 minutes the wrong sessions are left")
		}
		time.Sleep(time.Hour)
		if h.there(of["primary"]) || !h.there(of["lasting"]) {
			h.Error("after 80 minutes the wrong sessions are left")
		}
	})
}

func TestASessionIsKeptWhileADeliveryIsPending(t *testing.T) {
	withHarness(t, session.Config{Keep: session.Retention{For: time.Hour}}, func(h *harness) {
		back := h.unreachable()
		sid := h.idle()
		h.undelivered(sid)
		h.must(terminate(h, sid))
		h.awaitSession(sid, ergane.SessionTerminated)
		time.Sleep(5 * time.Hour)
		if !h.there(sid) {
			h.Error("it was removed with a pending delivery")
		}
		back()
		testkit.Await(h, patience, func() bool { return !h.there(sid) })
	})
}

func TestASessionIsKeptUntilItsLogIsStored(t *testing.T) {
	withHarness(t, session.Config{Keep: session.Retention{For: time.Hour}}, func(h *harness) {
		sid := h.logged()
		back := h.unreachable()
		h.must(terminate(h, sid))
		h.awaitSession(sid, ergane.SessionTerminated)
		time.Sleep(5 * time.Hour)
		if !h.there(sid) {
			h.Error("it was removed with its log")
		}
		back()
		h.awaitLog(sid)
		testkit.Await(h, patience, func() bool { return !h.there(sid) })
	})
}

// The rows name the objects that there may be: they stay until the objects are removed.
func TestSessionsWhoseObjectsCannotBeRemovedAreKept(t *testing.T) {
	for name, fault := range map[string]error{"unreachable": fakehost.ErrUnreachable, "denied": fakehost.ErrDenied} {
		withHarnessNamed(t, name, session.Config{Keep: session.Retention{For: time.Hour, Objects: true}}, func(h *harness) {
			c := h.over()
			h.bucket.Fail(always("stderr", fault))
			time.Sleep(3 * time.Hour)
			if !h.there(c.SessionID) {
				h.Error("it is gone although its objects are not")
			}
			h.bucket.Fail(nil)
			testkit.Await(h, patience, func() bool { return !h.there(c.SessionID) })
			if n := h.objectsOf(c); n != 0 {
				h.Errorf("%d objects are left", n)
			}
		})
	}
}

func TestAKernelThatOutlivedItsSessionIsEndedBeforeTheSessionIsRemoved(t *testing.T) {
	withHarness(t, session.Config{Keep: session.Retention{For: time.Hour}}, func(h *harness) {
		c := h.over()
		h.machine.Orphan(c.SessionID)
		testkit.Await(h, 2*time.Hour, func() bool { return !h.there(c.SessionID) })
		if h.machine.Alive(c.SessionID) {
			h.Error("the kernel lives")
		}
	})
}

// The server is killed before or after every single step while it removes
// sessions; the next one completes that.
func TestServerThatIsKilledWhileItRemovesSessions(t *testing.T) {
	for name, after := range map[string]bool{"before": false, "after": true} {
		withHarnessNamed(t, name, session.Config{Keep: session.Retention{For: time.Hour, Objects: true}, LogsFor: 30 * time.Minute}, func(h *harness) {
			for n, outlived := 1, false; !outlived && !h.Failed(); n++ {
				c := h.over()
				time.Sleep(59*time.Minute + 50*time.Second)
				power := h.power
				power.CutAt(n, after)
				time.Sleep(90 * time.Second)
				select {
				case <-power.Gone():
					h.kill()
					h.serve()
				default:
					outlived = true
					if n < 20 {
						h.Errorf("only %d steps", n)
					}
				}
				testkit.Await(h, 3*time.Hour, func() bool {
					_, logs := h.machine.Has(c.SessionID)
					return !h.there(c.SessionID) && !logs
				})
				if left := h.objectsOf(c); left != 0 {
					h.Errorf("killed %s step %d of %v: %d objects are left", name, n, power.Calls(), left)
				}
			}
		})
	}
}

func TestSpaceIsFreedWhenSomethingWasRemoved(t *testing.T) {
	for name, remove := range map[string]func(*harness){
		"a workgroup": func(h *harness) { h.must(h.m.DeleteWorkGroup(h.ctx, "w", true)) },
		"a session": func(h *harness) {
			s, err := h.m.StartSession(h.ctx, key, session.StartRequest{WorkGroup: "w"})
			h.must(err)
			h.awaitSession(s.ID, ergane.SessionIdle)
			h.must(terminate(h, s.ID))
			testkit.Await(h, 3*time.Hour, func() bool { return !h.there(s.ID) })
		},
	} {
		withHarnessNamed(t, name, session.Config{Keep: session.Retention{For: time.Hour}}, func(h *harness) {
			h.must(h.m.CreateWorkGroup(h.ctx, ergane.WorkGroup{Name: "w"}))
			h.settled()
			var times atomic.Int64
			h.store.Before(func(method string) {
				if method == "Reclaim" {
					times.Add(1)
				}
			})
			time.Sleep(time.Hour)
			if n := times.Load(); n != 0 {
				h.Errorf("%d times before", n)
			}
			remove(h)
			time.Sleep(time.Second)
			if n := times.Load(); n != 1 {
				h.Errorf("%d times afterwards", n)
			}
		})
	}
}

func withHarnessNamed(t *testing.T, name string, cfg session.Config, test func(*harness)) {
	t.Run(name, func(t *testing.T) { withHarness(t, cfg, test) })
}
