package session

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/ergane-dev/ergane"
)

// A Pool configures how many kernels are started ahead of their sessions.
type Pool struct {
	// Size is how many wait for sessions with the settings of the workgroup primary. 0: there is no pool.
	Size int
	// WorkGroups is the same for sessions with the settings of another workgroup, by its name.
	WorkGroups map[string]int
	// Max is how many there may be in all, including those started because of recent demand.
	Max int
	// Age is how old one may become. Default 4 h.
	Age time.Duration
	// Courtesy is how long after a claim no kernel is started, so that it does not
	// slow the session's first calculation. Default 2 s; negative: none.
	Courtesy time.Duration
}

const (
	defaultPoolAge = 4 * time.Hour
	// poolLooks is how often the pool checks ages and demand when nothing else wakes it.
	poolLooks = 15 * time.Second
	// poolPause is how long the pool waits after a kernel failed to start.
	poolPause = time.Minute
	// defaultPoolCourtesy is a bit longer than a first calculation takes.
	defaultPoolCourtesy = 2 * time.Second
)

// A waiting is a kernel that was started ahead and has no session yet.
type waiting struct {
	id    string
	shape string
	at    time.Time // when it was started
	like  ergane.Session
	k     Kernel
}

// alive reports whether a kernel and its Spark driver live.
func alive(k Kernel) bool { return !isClosed(k.Done()) && !isClosed(k.DriverDied()) }

// A pool starts kernels ahead of their sessions, one at a time, and hands each
// out once. A session takes over the id of the kernel that it gets, so inserting
// the session's row is what takes the kernel: after a crash, a kernel whose id
// has a row belongs to that session, and any other waits again.
type pool struct {
	m      *Manager
	cfg    Pool
	log    *slog.Logger
	nudges chan struct{}

	mu      sync.Mutex
	waiting []*waiting         // oldest first; guarded by mu
	ids     map[string]bool    // of kernels that are the pool's, or are being taken or ended; guarded by mu
	warming []*waiting         // those that are being started; guarded by mu
	taken   []*waiting         // those whose sessions have no row yet; guarded by mu
	closed  bool               // the server stops; guarded by mu
	demand  map[string]*demand // by shape; guarded by mu
	rests   time.Time          // until when nothing is started; guarded by mu
}

func newPool(m *Manager, cfg Pool) *pool {
	if cfg.Age == 0 {
		cfg.Age = defaultPoolAge
	}
	if cfg.Courtesy == 0 {
		cfg.Courtesy = defaultPoolCourtesy
	}
	return &pool{
		m: m, cfg: cfg, log: m.log, nudges: make(chan struct{}, 1),
		ids: map[string]bool{}, demand: map[string]*demand{},
	}
}

// off reports whether nothing is started ahead.
func (p *pool) off() bool { return p.cfg.Max <= 0 }

// owns reports whether a kernel is the pool's, or is being taken or ended.
func (p *pool) owns(id string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.ids[id]
}

// A claim is a session whose row is about to be inserted, with the kernel that
// it takes, if one of its shape waits.
type claim struct {
	shape string
	like  ergane.Session
	*waiting
}

// take hands out a kernel for a session, if one waits. The caller then calls settle.
func (p *pool) take(s ergane.Session) claim {
	var c claim
	if p.off() {
		return c
	}
	if c.shape, c.like = p.m.host.Shape(s); c.shape == "" {
		return c
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for i, w := range p.waiting {
		if w.shape == c.shape && alive(w.k) {
			p.waiting = slices.Delete(p.waiting, i, i+1)
			p.taken = append(p.taken, w)
			c.waiting = w
			break
		}
	}
	return c
}

// settle ends a claim: the session's row was inserted, or was not, or that is
// not known because the store failed.
func (p *pool) settle(c claim, created bool, err error) {
	if c.shape == "" {
		return
	}
	if c.waiting != nil && !created && ergane.CodeOf(err) == ergane.CodeInternal {
		if !p.m.background(func() { p.findOut(c) }) {
			c.k.Detach()
		}
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	defer p.nudge()
	if created {
		p.note(c.shape, c.like)
	}
	if c.waiting == nil {
		return
	}
	p.taken = slices.DeleteFunc(p.taken, func(w *waiting) bool { return w == c.waiting })
	if created {
		delete(p.ids, c.id)
		if now := time.Now(); now.After(p.rests) { // a steady flow of claims does not postpone it forever
			p.rests = now.Add(p.cfg.Courtesy)
		}
	} else {
		p.add(c.waiting)
	}
}

// add puts a kernel among those that wait. The caller holds mu.
func (p *pool) add(w *waiting) {
	if p.closed {
		w.k.Detach()
		return
	}
	p.waiting = append(p.waiting, w)
	slices.SortFunc(p.waiting, func(a, b *waiting) int { return a.at.Compare(b.at) })
}

// findOut asks the store, until it answers, whether a session has the kernel's id.
func (p *pool) findOut(c claim) {
	for {
		_, err := p.m.store.Session(p.m.ctx, c.id)
		if err == nil {
			p.m.own(c.id, c.k, false)
		}
		if err == nil || ergane.CodeOf(err) == ergane.CodeNotFound {
			p.settle(c, err == nil, nil)
			return
		}
		if !pause(p.m.ctx, lookAgain) {
			c.k.Detach()
			return
		}
	}
}

// census returns how many kernels wait, and how many are being started.
func (p *pool) census() (waiting, warming int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.waiting), len(p.warming)
}

// nudge makes the pool check what it has.
func (p *pool) nudge() {
	select {
	case p.nudges <- struct{}{}:
	default:
	}
}

// run keeps the pool filled until the server stops, then detaches from the
// kernels, which wait some time for the next server.
func (p *pool) run() {
	ctx := p.m.ctx
	defer p.letGo()
	for ctx.Err() == nil {
		if want, ok := p.wanted(ctx); ok {
			for _, w := range p.surplus(want) {
				p.end(ctx, w)
			}
			for _, w := range p.missing(want) {
				p.m.background(func() { p.start(w) })
			}
		}
		timer := time.NewTimer(p.rest())
		select {
		case <-ctx.Done():
		case <-p.nudges:
		case <-timer.C:
		}
		timer.Stop()
	}
}

// rest is how long the pool need not check what it has, if nothing happens.
func (p *pool) rest() time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	if left := time.Until(p.rests); left > 0 {
		return min(left, poolLooks)
	}
	return poolLooks
}

// recover adopts the kernels that an earlier server started ahead and no session has taken.
func (p *pool) recover(ctx context.Context) {
	ids, err := p.m.host.Sessions()
	if err != nil {
		p.log.Warn("cannot look for kernels that were started ahead", "error", err)
		return
	}
	for _, id := range ids {
		shape, at, ok := p.m.host.Ahead(id)
		if !ok || p.m.runner(id) != nil {
			continue
		}
		if _, err := p.m.store.Session(ctx, id); ergane.CodeOf(err) != ergane.CodeNotFound {
			continue // it is, or was, a session's; or that cannot be read now
		}
		w := &waiting{id: id, shape: shape, at: at}
		p.mu.Lock()
		p.ids[id] = true
		p.warming = append(p.warming, w)
		p.mu.Unlock()
		p.m.background(func() { p.adopt(w) })
	}
}

// adopt adopts a kernel of an earlier server. Only one that is known to be gone
// is forgotten: one that cannot be reached may live, and the reaper tries again.
func (p *pool) adopt(w *waiting) {
	ctx, cancel := p.m.inTime(p.m.ctx)
	defer cancel()
	var err error
	if w.k, err = p.m.host.Adopt(ctx, w.id); err == nil {
		err = p.await(ctx, w)
	} else if _, dead := errors.AsType[*ExitError](err); dead || errors.Is(err, ErrNoKernel) {
		p.forget(w)
	} else {
		p.drop(w)
	}
	p.warmed(w, err)
}

// start starts a kernel. After a failure the pool pauses for poolPause.
func (p *pool) start(w *waiting) {
	var err error
	ctx, cancel := p.m.inTime(p.m.ctx)
	defer cancel()
	if w.k, err = p.m.host.StartAhead(ctx, w.like, w.shape); err == nil {
		p.m.cfg.Meter.Count(CountKernels, kernelAhead)
		err = p.await(ctx, w)
	} else {
		p.forget(w) // nothing of it runs
	}
	if err != nil {
		p.mu.Lock()
		p.rests = time.Now().Add(poolPause)
		p.mu.Unlock()
	}
	p.warmed(w, err)
}

// warmed ends the start of a kernel that was counted as warming.
func (p *pool) warmed(w *waiting, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.warming = slices.DeleteFunc(p.warming, func(o *waiting) bool { return o == w })
	if err == nil {
		p.add(w)
	} else if p.m.ctx.Err() == nil {
		p.log.Warn("a kernel could not be started ahead of its session", "session", w.id, "error", err)
	}
	p.nudge()
}

// await waits until a kernel is ready; one that fails, or is not ready when ctx
// ends, is ended.
func (p *pool) await(ctx context.Context, w *waiting) error {
	err := w.k.Ready(ctx)
	if p.m.ctx.Err() != nil {
		w.k.Detach() // the next server may use it
		return context.Cause(p.m.ctx)
	}
	if err != nil {
		p.end(p.m.ctx, w)
		return fmt.Errorf("warm up: %w", err)
	}
	p.log.Info("kernel waits for a session", "session", w.id, "after", time.Since(w.at).Round(time.Millisecond))
	return nil
}

// end ends a kernel that no session has taken, and removes its files.
func (p *pool) end(ctx context.Context, w *waiting) {
	w.k.Shutdown(ctx, 0)
	w.k.Detach()
	if ctx.Err() == nil {
		p.forget(w)
	}
}

// forget removes the files of a kernel that is gone.
func (p *pool) forget(w *waiting) {
	if err := p.m.host.Forget(w.id); err != nil {
		p.log.Warn("cannot remove the files of a kernel that was started ahead", "session", w.id, "error", err)
	}
	p.drop(w)
}

// drop takes a kernel's id out of the pool.
func (p *pool) drop(w *waiting) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.ids, w.id)
}

// letGo detaches from the kernels, for the next server.
func (p *pool) letGo() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, w := range p.waiting {
		w.k.Detach()
	}
	p.waiting, p.closed = nil, true
}
