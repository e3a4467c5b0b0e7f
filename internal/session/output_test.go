package session_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ergane-dev/ergane"
	"github.com/ergane-dev/ergane/internal/session"
	"github.com/ergane-dev/ergane/internal/testkit"
)

// reader reads a calculation's stream while it grows.
type reader struct {
	mu   sync.Mutex
	text strings.Builder // guarded by mu
	end  ergane.Calculation
	err  error
	done chan struct{} // closed at the end, after which the rest may be read
}

// follow reads a stream from an offset on in the background.
func (h *harness) follow(ctx context.Context, cid string, stream ergane.Stream, from int64) *reader {
	r := &reader{done: make(chan struct{})}
	go func() {
		defer close(r.done)
		r.end, r.err = h.m.Output(ctx, cid, stream, from, func(b []byte) error {
			r.mu.Lock()
			defer r.mu.Unlock()
			if len(b) == 0 {
				h.Error("an empty piece")
			}
			r.text.Write(b)
			return nil
		})
	}()
	return r
}

func (r *reader) got() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.text.String()
}

// readAll reads a stream of an ended calculation.
func (h *harness) readAll(cid string, stream ergane.Stream, from int64) string {
	h.Helper()
	r := h.follow(h.ctx, cid, stream, from)
	<-r.done
	h.must(r.err)
	return r.got()
}

func TestOutputComesWhileTheCodeRunsAndEndsWithIt(t *testing.T) {
	withHarness(t, session.Config{}, func(h *harness) {
		sid := h.idle()
		h.awaitCalculation(h.submit(sid, "print of another\nwarn of another"), ergane.CalculationCompleted)
		cid := h.at(sid, "one", "print first\nwarn aside")
		out, errs, late := h.follow(h.ctx, cid, ergane.Stdout, 0), h.follow(h.ctx, cid, ergane.Stderr, 0), h.follow(h.ctx, cid, ergane.Stdout, 3)
		time.Sleep(time.Second)
		if out.got() != "first\n" || errs.got() != "aside\n" || late.got() != "st\n" {
			h.Errorf("live: %q, %q, from 3: %q", out.got(), errs.got(), late.got())
		}
		h.machine.Let("one")
		for _, r := range []*reader{out, errs, late} {
			<-r.done
			if r.err != nil || r.end.Status.State != ergane.CalculationCompleted {
				h.Errorf("ended %s, %v", r.end.Status.State, r.err)
			}
		}
		if out.got() != "first\nthrough\n" || errs.got() != "aside\n" || late.got() != "st\nthrough\n" {
			h.Errorf("all: %q, %q, from 3: %q", out.got(), errs.got(), late.got())
		}
	})
}

func TestOutputOfAnEndedCalculationIsItsObject(t *testing.T) {
	withHarness(t, session.Config{}, func(h *harness) {
		sid := h.idle()
		cid := h.submit(sid, "print 0123456789")
		h.awaitCalculation(cid, ergane.CalculationCompleted)
		h.ends(sid, time.Second) // the spool is gone
		for from, want := range map[int64]string{0: "0123456789\n", 4: "456789\n", 11: "", 99: ""} {
			if got := h.readAll(cid, ergane.Stdout, from); got != want {
				h.Errorf("from %d: %q", from, got)
			}
		}
	})
}

// Delivered output is cut out of the spool; a reader in the middle of it must
// never see the zeros.
func TestOutputThatIsReadWhileItIsDeliveredIsWhole(t *testing.T) {
	withHarness(t, session.Config{}, func(h *harness) {
		sid := h.idle()
		for range 20 {
			cid := h.submit(sid, "fill 300000\nsleep 1ms\nfill 300000")
			var readers []*reader
			for range 5 {
				readers = append(readers, h.follow(h.ctx, cid, ergane.Stdout, 0))
			}
			for _, r := range readers {
				<-r.done
				if text := r.got(); r.err != nil || text != strings.Repeat("x", 600000) {
					h.Fatalf("%d bytes, %d of them zeros, %v", len(text), strings.Count(text, "\x00"), r.err)
				}
			}
		}
	})
}

func TestOutputOfALostKernelIsWhatItPrinted(t *testing.T) {
	withHarness(t, session.Config{}, func(h *harness) {
		sid := h.idle()
		cid := h.at(sid, "door", "print kept")
		r := h.follow(h.ctx, cid, ergane.Stdout, 0)
		h.settled()
		h.machine.Kill(sid, ergane.Exit{Known: true, Signal: 9})
		<-r.done
		if r.err != nil || r.got() != "kept\n" || r.end.Status.State != ergane.CalculationFailed {
			h.Errorf("%q, %s, %v", r.got(), r.end.Status.State, r.err)
		}
	})
}

func TestOutputEndsWithItsReaderAndWithTheServer(t *testing.T) {
	withHarness(t, session.Config{}, func(h *harness) {
		cid := h.submit(h.idle(), "print x\nsleep 1h")
		left := errors.New("the client has left")
		ctx, leave := context.WithCancelCause(h.ctx)
		leaving, staying := h.follow(ctx, cid, ergane.Stdout, 0), h.follow(h.ctx, cid, ergane.Stdout, 0)
		full := errors.New("the client takes no more")
		if _, err := h.m.Output(h.ctx, cid, ergane.Stdout, 0, func([]byte) error { return full }); !errors.Is(err, full) {
			h.Errorf("a reader that fails: %v", err)
		}
		leave(left)
		<-leaving.done
		if !errors.Is(leaving.err, left) {
			h.Errorf("a reader that leaves: %v", leaving.err)
		}
		testkit.Await(h, patience, func() bool { return staying.got() == "x\n" })
		h.stop()
		<-staying.done
		if staying.err == nil || staying.got() != "x\n" {
			h.Errorf("a reader that stays: %q, %v", staying.got(), staying.err)
		}
	})
}

func TestOutputCanBeResumedAtTheNextServer(t *testing.T) {
	withHarness(t, session.Config{}, func(h *harness) {
		sid := h.idle()
		cid := h.at(sid, "door", "print first")
		first := h.follow(h.ctx, cid, ergane.Stdout, 0)
		time.Sleep(time.Second)
		h.kill()
		<-first.done
		h.machine.Let("door")
		h.settled()
		h.serve()
		if rest := h.readAll(cid, ergane.Stdout, int64(len(first.got()))); first.got()+rest != "first\nthrough\n" {
			h.Errorf("%q, then %q", first.got(), rest)
		}
	})
}
