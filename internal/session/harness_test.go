package session_test

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ergane-dev/ergane"
	"github.com/ergane-dev/ergane/internal/session"
	"github.com/ergane-dev/ergane/internal/store"
	"github.com/ergane-dev/ergane/internal/testkit"
	"github.com/ergane-dev/ergane/internal/testkit/fakehost"
)

// harness is a machine, a result store and a database with one server at a time
// on them, in a bubble of its own time. Its methods end the test on an error.
type faults = fakehost.Faults

type harness struct {
	*testing.T
	ctx     context.Context
	cfg     session.Config
	machine *fakehost.Machine
	bucket  *fakehost.Bucket
	db      *store.Store
	meter   *meter

	// Of the present server.
	power *fakehost.Power
	store *fakehost.Store
	m     *session.Manager
}

// withHarness runs a test with a server of the configuration given. Afterwards
// nothing may be left: goroutines, handles, misuse of the machine.
func withHarness(t *testing.T, cfg session.Config, test func(*harness)) {
	t.Helper()
	withFaults(t, cfg, faults{}, test)
}

// withFaults is withHarness with a machine that has faults from the start.
func withFaults(t *testing.T, cfg session.Config, f faults, test func(*harness)) {
	t.Helper()
	t.Parallel()
	path := filepath.Join(t.TempDir(), "ergane.db")
	synctest.Test(t, func(t *testing.T) {
		h := open(t, path, cfg)
		defer h.close()
		h.machine.Set(f)
		h.serve()
		test(h)
	})
}

// open makes a harness without a server.
func open(t *testing.T, path string, cfg session.Config) *harness {
	db, err := store.Open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	m := &meter{t: t, took: map[session.Step][]time.Duration{}, counts: map[string]int{}}
	cfg.Server, cfg.DefaultEngine, cfg.Meter = "server 1", fakehost.Engine, m
	return &harness{T: t, meter: m, ctx: t.Context(), cfg: cfg, machine: fakehost.New(), bucket: fakehost.NewBucket(), db: db}
}

func (h *harness) close() {
	h.stop()
	h.machine.Close()
	synctest.Wait()
	for _, w := range h.machine.Wrongs() {
		h.Error(w)
	}
	if k, sp, se := h.machine.Open(); k != 0 || sp != 0 || se != 0 {
		h.Errorf("left open: %d kernels, %d spools, %d sections", k, sp, se)
	}
	if err := h.db.Close(); err != nil {
		h.Error(err)
	}
}

// serve starts a server.
func (h *harness) serve() {
	h.Helper()
	h.build()
	h.must(h.m.Start(h.ctx))
}

// build makes a server without starting it.
func (h *harness) build() {
	h.power = fakehost.NewPower()
	h.store = fakehost.NewStore(h.db, h.power)
	log := slog.New(slog.NewTextHandler(h.Output(), nil))
	h.m = session.New(h.cfg, h.store, h.machine.Host(h.power), h.bucket.Objects(h.power), log)
}

// stop stops the server as SIGTERM does, kill as -9 does.
func (h *harness) stop() { h.m.Close() }

func (h *harness) kill() {
	h.power.Cut()
	h.m.Close() // ends the goroutines, all that is left of a killed server
}

func (h *harness) must(err error) {
	h.Helper()
	if err != nil {
		h.Fatal(err)
	}
}

// fails checks an error's code and sentence.
func (h *harness) fails(err error, code ergane.Code, sentence string) {
	h.Helper()
	if e, ok := errors.AsType[*ergane.Error](err); !ok || e.Code != code || e.Message != sentence {
		h.Errorf("error %v, want %s: %s", err, code, sentence)
	}
}

const key = "AKHARNESS" // the client's access key id

// begin starts a session and does not wait for it.
func (h *harness) begin() string {
	h.Helper()
	s, err := h.m.StartSession(h.ctx, key, session.StartRequest{WorkGroup: ergane.PrimaryWorkGroup})
	h.must(err)
	return s.ID
}

// idle starts a session and waits until it is IDLE.
func (h *harness) idle() string {
	h.Helper()
	id := h.begin()
	h.awaitSession(id, ergane.SessionIdle)
	return id
}

// submit starts a calculation in a session.
func (h *harness) submit(sid, code string) string {
	h.Helper()
	c, err := h.m.StartCalculation(h.ctx, session.CalculationRequest{SessionID: sid, Code: code})
	h.must(err)
	return c.ID
}

// at submits code that waits at a door, after the lines given, and returns when
// the code has reached it.
func (h *harness) at(sid, door, before string) string {
	h.Helper()
	cid := h.submit(sid, before+"\nat "+door+"\nprint through")
	<-h.machine.Reached(door)
	return cid
}

func (h *harness) session(id string) ergane.Session {
	h.Helper()
	s, err := h.db.Session(h.ctx, id)
	h.must(err)
	return s
}

func (h *harness) calculation(id string) ergane.Calculation {
	h.Helper()
	c, err := h.db.Calculation(h.ctx, id)
	h.must(err)
	return c
}

// figures are a calculation's statistics as a client sees them.
func (h *harness) figures(id string) ergane.CalculationStatistics {
	h.Helper()
	c, err := h.m.Calculation(h.ctx, "key", id)
	h.must(err)
	return c.Statistics
}

// patience is longer than anything takes that a test awaits without a time of its own.
const patience = 20 * time.Minute

// awaitSession waits until a session is in a state.
func (h *harness) awaitSession(id string, want ergane.SessionState) ergane.Session {
	h.Helper()
	var s ergane.Session
	testkit.Await(h, patience, func() bool {
		s = h.session(id)
		if s.Status.State.Ended() && s.Status.State != want {
			h.Fatalf("session ended %s (%s), want %s", s.Status.State, s.Status.Reason, want)
		}
		return s.Status.State == want
	})
	return s
}

// awaitCalculation waits until a calculation is in a state.
func (h *harness) awaitCalculation(id string, want ergane.CalculationState) ergane.Calculation {
	h.Helper()
	var c ergane.Calculation
	testkit.Await(h, patience, func() bool {
		c = h.calculation(id)
		if c.Status.State.Terminal() && c.Status.State != want {
			h.Fatalf("calculation ended %s (%s), want %s", c.Status.State, c.Status.Reason, want)
		}
		return c.Status.State == want
	})
	return c
}

// settled waits until every goroutine waits for time to pass, or for an event.
func (h *harness) settled() { synctest.Wait() }

// sessionIs checks a session's state and reason.
func (h *harness) sessionIs(id string, state ergane.SessionState, reason string) {
	h.Helper()
	if s := h.session(id); s.Status.State != state || s.Status.Reason != reason {
		h.Errorf("session %s (%s), want %s (%s)", s.Status.State, s.Status.Reason, state, reason)
	}
}

// calculationIs checks a calculation's state and reason.
func (h *harness) calculationIs(id string, state ergane.CalculationState, reason string) {
	h.Helper()
	if c := h.calculation(id); c.Status.State != state || c.Status.Reason != reason {
		h.Errorf("calculation %s (%s), want %s (%s)", c.Status.State, c.Status.Reason, state, reason)
	}
}

// delivered checks the objects that a calculation's result names.
func (h *harness) delivered(id, stdout, stderr, results string) {
	h.Helper()
	c := h.calculation(id)
	if c.Result == nil {
		h.Errorf("%s without a result", c.Status.State)
		return
	}
	for uri, want := range map[string]string{c.Result.StdOut: stdout, c.Result.StdErr: stderr, c.Result.Results: results} {
		if got, ok := h.bucket.Object(uri); !ok || got != want {
			h.Errorf("%s: %q (there: %t), want %q", uri, got, ok, want)
		}
	}
}

// ran checks how often a calculation's code ran.
func (h *harness) ran(id string, want int) {
	h.Helper()
	if got := h.machine.Runs(id); got != want {
		h.Errorf("the code ran %d times, want %d", got, want)
	}
}

// awaitEnd waits for the end of a calculation, whichever it is.
func (h *harness) awaitEnd(id string) ergane.Calculation {
	h.Helper()
	var c ergane.Calculation
	testkit.Await(h, patience, func() bool {
		c = h.calculation(id)
		return c.Status.State.Terminal()
	})
	return c
}

// executorsAre checks the states of a session's executors, by name.
func (h *harness) executorsAre(sid string, want map[string]ergane.ExecutorState) {
	h.Helper()
	es, err := h.m.Executors(h.ctx, sid, "", ergane.Page{Limit: 100})
	h.must(err)
	got := map[string]ergane.ExecutorState{}
	for _, e := range es {
		got[e.Name] = e.State
		if e.State.Ended() == e.TerminatedAt.IsZero() {
			h.Errorf("executor %s is %s, terminated at %v", e.Name, e.State, e.TerminatedAt)
		}
	}
	if !maps.Equal(got, want) {
		h.Errorf("executors %v, want %v", got, want)
	}
}
