package session_test

import (
	"errors"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/ergane-dev/ergane"
	"github.com/ergane-dev/ergane/internal/delivery"
	"github.com/ergane-dev/ergane/internal/session"
	"github.com/ergane-dev/ergane/internal/testkit"
)

// Faults of reading that may pass, each at another step.
var unreadable = map[string]faults{
	"the spool's folder": {Spool: syscall.EMFILE},
	"the outcome":        {Unread: syscall.EIO},
	"a stream's size":    {Unsized: syscall.ENOMEM},
	"a stream":           {Section: syscall.ENFILE},
}

// dead makes a calculation that printed, and whose kernel died while no server
// ran, with or without having recorded the outcome.
func (h *harness) dead(recorded bool) (sid, cid string) {
	h.Helper()
	sid = h.idle()
	cid = h.at(sid, "door", "print kept")
	h.kill()
	if recorded {
		h.machine.Let("door")
		h.settled()
	}
	h.machine.Kill(sid, ergane.Exit{Signal: 9})
	h.settled()
	return sid, cid
}

func TestWhatCannotBeReadNowIsReadLater(t *testing.T) {
	for name, f := range unreadable {
		for _, recorded := range []bool{true, false} {
			if recorded && f.Unsized != nil {
				continue // the size is not asked for
			}
			t.Run(name+map[bool]string{true: " of what ended", false: " of what was cut off"}[recorded], func(t *testing.T) {
				withHarness(t, session.Config{}, func(h *harness) {
					sid, cid := h.dead(recorded)
					h.machine.Set(f)
					h.serve()
					time.Sleep(10 * time.Minute)
					if c := h.calculation(cid); c.Status.State.Terminal() {
						h.Fatalf("%s (%s) while nothing can be read", c.Status.State, c.Status.Reason)
					}
					h.machine.Set(faults{})
					if recorded {
						h.awaitCalculation(cid, ergane.CalculationCompleted)
						h.delivered(cid, "kept\nthrough\n", "", "")
					} else {
						h.awaitCalculation(cid, ergane.CalculationFailed)
						h.delivered(cid, "kept\n", "", "")
					}
					h.awaitSession(sid, ergane.SessionFailed)
				})
			})
		}
	}
}

func TestWhatCannotBeReadForLongIsPending(t *testing.T) {
	for name, f := range unreadable {
		t.Run(name, func(t *testing.T) {
			withHarness(t, session.Config{DeliverFor: time.Minute}, func(h *harness) {
				sid, cid := h.dead(false)
				h.machine.Set(f)
				h.serve()
				c := h.awaitCalculation(cid, ergane.CalculationFailed)
				if c.Result != nil || !strings.HasPrefix(c.Status.Reason, "the output could not be stored: ") {
					h.Errorf("result %v, reason %q", c.Result, c.Status.Reason)
				}
				h.awaitSession(sid, ergane.SessionFailed)
				time.Sleep(time.Hour)
				h.kill() // nor does the next server discard it
				h.serve()
				time.Sleep(time.Hour)
				if h.pending() != 1 {
					h.Fatal("it is not pending")
				}
				h.machine.Set(faults{})
				testkit.Await(h, patience, func() bool { return h.pending() == 0 })
				h.delivered(cid, "kept\n", "", "")
				h.settled()
				if !h.machine.Discarded(sid) {
					h.Error("the files of a session without pending deliveries are still there")
				}
			})
		})
	}
}

func TestWhatIsPendingAndGoneIsDiscarded(t *testing.T) {
	withHarness(t, session.Config{DeliverFor: time.Minute}, func(h *harness) {
		sid, cid := h.dead(true)
		h.machine.Set(faults{Unread: syscall.EIO})
		h.serve()
		h.awaitCalculation(cid, ergane.CalculationFailed)
		h.awaitSession(sid, ergane.SessionFailed)
		h.machine.Set(faults{Spool: errors.Join(delivery.ErrSpool, errors.New("no such folder"))})
		time.Sleep(time.Hour)
		if h.pending() != 0 {
			h.Error("what is gone is pending")
		}
		if c := h.calculation(cid); c.Result != nil || !strings.Contains(c.Status.Reason, "it is lost") {
			h.Errorf("result %v, reason %q", c.Result, c.Status.Reason)
		}
		h.machine.Set(faults{})
	})
}

func TestTerminateDoesNotWaitForADiskThatDoesNotAnswer(t *testing.T) {
	withHarness(t, session.Config{}, func(h *harness) {
		sid, cid := h.dead(true)
		h.machine.Set(faults{Unread: syscall.EIO})
		h.serve()
		time.Sleep(5 * time.Minute)
		h.must(terminate(h, sid))
		time.Sleep(2 * time.Minute)
		h.sessionIs(sid, ergane.SessionTerminated, terminated)
		h.machine.Set(faults{})
		testkit.Await(h, patience, func() bool { return h.pending() == 0 })
		h.delivered(cid, "kept\nthrough\n", "", "")
	})
}

func TestASessionWhoseFilesCannotBeLookedForDoesNotExpire(t *testing.T) {
	withHarness(t, session.Config{Keep: session.Retention{For: time.Hour}}, func(h *harness) {
		sid := h.idle()
		h.ends(sid, time.Second)
		h.machine.Set(faults{Spool: syscall.EMFILE})
		time.Sleep(3 * time.Hour)
		h.sessionIs(sid, ergane.SessionTerminated, terminated)
		h.machine.Set(faults{})
		testkit.Await(h, patience, func() bool {
			_, err := h.db.Session(h.ctx, sid)
			return ergane.CodeOf(err) == ergane.CodeNotFound
		})
	})
}
