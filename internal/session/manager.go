// Package session owns the life of sessions and calculations: it starts and
// adopts kernels, runs code blocks on them, has what they wrote delivered, and
// moves the states. API calls record an intent in the store and nudge the
// session's runner; the runner, one goroutine per live session, does the work.
package session

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"sync"
	"time"

	"github.com/ergane-dev/ergane"
	"github.com/ergane-dev/ergane/internal/delivery"
)

// Config configures a Manager.
type Config struct {
	// Server is the id of this server, which owns the sessions that it runs. It
	// is the same at each start on the same data folder.
	Server string
	// Hold is how long reads of a young session or calculation wait for its
	// end; 0 turns holding off. Default 1 s.
	Hold time.Duration
	// Results is where workgroups without an output location put theirs, an
	// s3:// address without a trailing slash. Default s3://ergane-results.
	Results string
	// Account owns every bucket of the result store; empty where buckets have
	// different owners, which the store checks at delivery.
	Account string
	// DefaultEngine is the engine version that the workgroup primary is
	// created with.
	DefaultEngine string
	// MaxOutput is how many bytes of stdout, or of stderr, a calculation may
	// write before it is stopped, and how many are delivered at most. Default 1 GiB.
	MaxOutput int64
	// InterruptGrace is how long an interrupt may take to have an effect
	// before the kernel is killed. Default 30 s; on termination 5 s.
	InterruptGrace time.Duration
	// DeliverFor bounds the retries at the end of a calculation while the result
	// store cannot be reached. Default 15 min; 60 s where the bucket is missing
	// or access is denied.
	DeliverFor time.Duration
	// RedeliverFor is how long the output of a calculation that could not be
	// delivered is kept, to be redelivered. Default 7 days.
	RedeliverFor time.Duration
	// MaxPending and MaxPendingBytes bound what is kept for redelivery at once;
	// beyond them the oldest is discarded. Default 10,000 calculations, and no
	// limit in bytes.
	MaxPending      int
	MaxPendingBytes int64
	// Starts is how many kernels may start at once; further sessions wait in
	// CREATING. Those that download jars at their start have turns of their own.
	// Default: the number of processors.
	Starts int
	// MaxStart is how long a kernel may take to be ready, from its turn to start
	// on; after that its session is FAILED. Default 5 min.
	MaxStart time.Duration
	// Limits bound what is live at once. Default: none.
	Limits ergane.Limits
	// MaxRunTime is how long a calculation may take before it is stopped.
	// Default: no limit.
	MaxRunTime time.Duration
	// MaxDisk is how many bytes a session's folder may hold before its
	// calculation is stopped. Default: no limit.
	MaxDisk int64
	// Pool says which kernels are started ahead of their sessions. Default: none.
	Pool Pool
	// Meter counts and measures what happens. Default: nothing is counted.
	Meter Meter
	// LogsFor is how long the logs of an ended session stay. Default 7 days.
	LogsFor time.Duration
	// MaxLogs is how many bytes the logs of ended sessions may take up
	// together; beyond it, those of the sessions that ended first are removed.
	// Default: no limit.
	MaxLogs int64
	// Keep is how long sessions are kept after their end. Default: forever.
	Keep Retention
}

func (c Config) withDefaults() Config {
	def := func(d *time.Duration, v time.Duration) {
		if *d == 0 {
			*d = v
		}
	}
	def(&c.InterruptGrace, 30*time.Second)
	def(&c.MaxStart, 5*time.Minute)
	def(&c.DeliverFor, 15*time.Minute)
	def(&c.RedeliverFor, 7*24*time.Hour)
	def(&c.LogsFor, 7*24*time.Hour)
	if c.Meter == nil {
		c.Meter = noMeter{}
	}
	if c.Results == "" {
		c.Results = "s3://ergane-results"
	}
	if c.MaxOutput == 0 {
		c.MaxOutput = 1 << 30
	}
	if c.MaxPending == 0 {
		c.MaxPending = 10_000
	}
	if c.Starts == 0 {
		c.Starts = max(1, runtime.NumCPU())
	}
	return c
}

// DefaultIdleTimeout is the idle timeout of a session that asks for none.
const DefaultIdleTimeout = 20 * time.Minute

// A Manager owns every live session of one server.
type Manager struct {
	cfg     Config
	store   Store
	host    Host
	objects Objects
	log     *slog.Logger
	hub     *hub
	holds   holds
	starts  starts
	pool    *pool
	// delivery stores the output of calculations and the logs of sessions.
	delivery *delivery.Deliverer
	figures  *figures

	closing chan struct{} // closed first when the server stops
	ctx     context.Context
	stop    context.CancelCauseFunc
	running sync.WaitGroup

	mu      sync.Mutex
	runners map[string]*runner // by session id; guarded by mu
	closed  bool               // guarded by mu
}

// New makes a Manager. Nothing runs before Start.
func New(cfg Config, store Store, host Host, objects Objects, log *slog.Logger) *Manager {
	cfg = cfg.withDefaults()
	ctx, stop := context.WithCancelCause(context.Background())
	m := &Manager{
		cfg: cfg, store: store, host: host, objects: objects, log: log,
		hub: newHub(), holds: holds{byKey: map[string]int{}},
		starts: newStarts(cfg.Starts), closing: make(chan struct{}),
		ctx: ctx, stop: stop, runners: map[string]*runner{},
		figures: newFigures(),
	}
	m.pool = newPool(m, cfg.Pool)
	m.delivery = newDelivery(m)
	return m
}

// Start makes the primary workgroup if it is missing, adopts every session that
// this server left when it stopped or that no running server owns, and removes
// leftovers. It returns as soon as the sessions have their runners.
func (m *Manager) Start(ctx context.Context) error {
	if err := m.makePrimary(ctx); err != nil {
		return fmt.Errorf("make workgroup %s: %w", ergane.PrimaryWorkGroup, err)
	}
	if _, err := m.renewLease(ctx); err != nil {
		return err
	}
	live, err := m.store.LiveSessions(ctx, m.cfg.Server)
	if err != nil {
		return fmt.Errorf("find live sessions: %w", err)
	}
	condemned, err := m.store.CondemnedWorkGroups(ctx)
	if err != nil {
		return fmt.Errorf("find workgroups that are being deleted: %w", err)
	}
	for _, name := range condemned {
		m.running.Go(func() {
			m.purge(name)
			m.reclaim()
		})
	}
	owned := make(map[string]bool, len(live))
	for _, s := range live {
		owned[s.ID] = true
		m.own(s.ID, nil, true)
	}
	if !m.pool.off() {
		m.pool.recover(ctx) // before the reaper takes them for leftovers
		m.running.Go(m.pool.run)
	}
	m.running.Go(func() { m.reap(owned) })
	m.running.Go(m.keepLease)
	m.running.Go(func() { m.delivery.Run(m.ctx) })
	m.running.Go(m.keepFigures)
	m.running.Go(m.reclaim) // the space that an earlier server left unused
	if m.cfg.Keep.shortest() > 0 {
		m.running.Go(m.expire)
	}
	return nil
}

var errServerStops = errors.New("the server stops")

// Close detaches from every kernel and waits for the runners. Sessions go on;
// the next server adopts them.
func (m *Manager) Close() {
	m.mu.Lock()
	if !m.closed {
		m.closed = true
		close(m.closing)
		m.stop(errServerStops)
	}
	m.mu.Unlock()
	m.running.Wait()
}

// Live is the number of sessions that have not ended.
func (m *Manager) Live() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.runners)
}

// Pooled is how many kernels wait for a session, and how many are being started ahead.
func (m *Manager) Pooled() (waiting, warming int) { return m.pool.census() }

// Owns reports whether a session has a runner in this server.
func (m *Manager) Owns(id string) bool { return m.runner(id) != nil }

// own starts the runner of a session, with the kernel that was started ahead
// for it, or nil; adopt says that an earlier server may have started one.
func (m *Manager) own(id string, k Kernel, adopt bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed || m.runners[id] != nil {
		if k != nil {
			k.Detach() // the next server finds it
		}
		return
	}
	r := &runner{m: m, id: id, given: k, adopt: adopt, cleanup: adopt, nudges: make(chan struct{}, 1), looks: make(chan struct{}, 1), log: m.log.With("session", id)}
	m.runners[id] = r
	m.running.Go(func() {
		r.run(m.ctx)
		m.mu.Lock()
		delete(m.runners, id)
		m.mu.Unlock()
	})
}

// background runs f beside the runners; Close waits for it. False once the server stops.
func (m *Manager) background(f func()) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return false
	}
	m.running.Go(f)
	return true
}

// nudge makes a session's runner read the store.
func (m *Manager) nudge(id string) {
	if r := m.runner(id); r != nil {
		r.nudge()
	}
}

// runner returns the runner of a live session, or nil.
func (m *Manager) runner(id string) *runner {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.runners[id]
}

func (m *Manager) moveSession(ctx context.Context, mv ergane.SessionMove) (ergane.Session, bool, error) {
	mv.Reason = clip(mv.Reason)
	s, moved, err := m.store.MoveSession(ctx, mv)
	if err != nil {
		return s, false, fmt.Errorf("move session to %s: %w", mv.To, err)
	}
	if moved {
		m.hub.moved(mv.ID)
		m.log.Info("session moved", "session", mv.ID, "state", mv.To, "reason", mv.Reason)
	}
	return s, moved, nil
}

func (m *Manager) moveCalculation(ctx context.Context, mv ergane.CalculationMove) (ergane.Calculation, bool, error) {
	mv.Reason = clip(mv.Reason)
	c, moved, err := m.store.MoveCalculation(ctx, mv)
	if err != nil {
		return c, false, fmt.Errorf("move calculation to %s: %w", mv.To, err)
	}
	if moved {
		m.hub.moved(mv.ID)
		m.log.Info("calculation moved", "session", c.SessionID, "calculation", mv.ID, "state", mv.To)
	}
	return c, moved, nil
}

// clip shortens a reason to what the wire allows.
func clip(reason string) string { return ergane.Shorten(reason, ergane.MaxReason) }
