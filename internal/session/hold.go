package session

import (
	"context"
	"sync"
	"time"

	"github.com/ergane-dev/ergane"
)

// Reads of something that was started or stopped less than Config.Hold ago
// wait for its end, so that a client which polls every second or every five
// learns of the end of a short calculation at once and not a poll later. Reads
// of anything older are never held. docs/decisions/0005-holding.md says why.

const (
	maxHoldsPerKey = 64
	maxHolds       = 1024
	// startHold bounds how long StartSession's own answer waits for IDLE.
	startHold = 300 * time.Millisecond
)

// holds counts the held requests, and limits their number.
type holds struct {
	mu    sync.Mutex
	byKey map[string]int
	all   int
}

func (h *holds) enter(key string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.all >= maxHolds || h.byKey[key] >= maxHoldsPerKey {
		return false
	}
	h.all++
	h.byKey[key]++
	return true
}

func (h *holds) leave(key string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.all--
	if h.byKey[key]--; h.byKey[key] == 0 {
		delete(h.byKey, key)
	}
}

// Calculation returns a calculation without its code. If it was submitted or
// stopped less than the hold ago, it waits for the end, but no longer than that.
// key is the caller's access key id.
func (m *Manager) Calculation(ctx context.Context, key, id string) (ergane.Calculation, error) {
	return hold(ctx, m, key, id, m.hub.held(id),
		func() (ergane.Calculation, error) {
			c, err := m.store.Calculation(ctx, id)
			return m.figures.shown(c), err
		},
		func(c ergane.Calculation) bool { return c.Status.State.Terminal() })
}

// Session returns a session. If it was started or terminated less than the
// hold ago, it waits until that is done, but no longer than that.
func (m *Manager) Session(ctx context.Context, key, id string) (ergane.Session, error) {
	return m.session(ctx, key, id, m.hub.held(id))
}

func (m *Manager) session(ctx context.Context, key, id string, until time.Time) (ergane.Session, error) {
	return hold(ctx, m, key, id, until,
		func() (ergane.Session, error) {
			s, err := m.store.Session(ctx, id)
			if err == nil && s.Status.Reason == "" {
				s.Status.Reason = m.trouble(id)
			}
			return s, err
		},
		func(s ergane.Session) bool {
			return s.Status.State != ergane.SessionCreating && s.Status.State != ergane.SessionTerminating
		})
}

// trouble is what keeps a live session from going on at present, which is not in the store; empty if nothing does.
func (m *Manager) trouble(id string) string {
	if r := m.runner(id); r != nil {
		if t := r.trouble.Load(); t != nil {
			return clip(*t)
		}
	}
	return ""
}

// hold repeats a read until its result is settled or the time is up.
func hold[T any](ctx context.Context, m *Manager, key, id string, until time.Time, read func() (T, error), settled func(T) bool) (T, error) {
	wait := time.Until(until)
	if wait <= 0 {
		return read()
	}
	if !m.holds.enter(key) {
		m.cfg.Meter.Count(CountHolds, holdRefused)
		return read()
	}
	m.cfg.Meter.Count(CountHolds, holdHeld)
	defer m.holds.leave(key)
	moved := m.hub.watch(id)
	defer func() { m.hub.unwatch(id, moved) }()
	v, err := read()
	if err != nil || settled(v) {
		return v, err
	}
	timeout := time.NewTimer(wait)
	defer timeout.Stop()
	for {
		select {
		case <-moved:
		case <-timeout.C:
			return v, nil
		case <-m.closing:
			return v, nil
		case <-ctx.Done():
			return v, context.Cause(ctx)
		}
		moved = m.hub.watch(id)
		if v, err = read(); err != nil || settled(v) {
			return v, err
		}
	}
}
