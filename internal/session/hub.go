package session

import (
	"sync"
	"time"
)

// hub wakes everyone who waits for a move of one session or calculation, and
// remembers until when reads of it are held.
type hub struct {
	mu      sync.Mutex
	waiting map[string]*watchers // guarded by mu
	until   map[string]time.Time // guarded by mu
}

// watchers are the goroutines that wait for the same move.
type watchers struct {
	moved chan struct{} // closed by the move
	n     int
}

func newHub() *hub {
	return &hub{waiting: map[string]*watchers{}, until: map[string]time.Time{}}
}

// watch returns a channel that the next move of id closes; the caller calls
// unwatch afterwards. Read the state after calling watch, not before, or a move
// in between is missed.
func (h *hub) watch(id string) <-chan struct{} {
	h.mu.Lock()
	defer h.mu.Unlock()
	w := h.waiting[id]
	if w == nil {
		w = &watchers{moved: make(chan struct{})}
		h.waiting[id] = w
	}
	w.n++
	return w.moved
}

// unwatch removes a watcher that no longer waits: what has ended never moves again.
func (h *hub) unwatch(id string, moved <-chan struct{}) {
	h.mu.Lock()
	defer h.mu.Unlock()
	w := h.waiting[id]
	if w == nil || w.moved != moved {
		return // it has moved
	}
	if w.n--; w.n == 0 {
		delete(h.waiting, id)
	}
}

// moved wakes the watchers of the ids.
func (h *hub) moved(ids ...string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, id := range ids {
		if w := h.waiting[id]; w != nil {
			close(w.moved)
			delete(h.waiting, id)
		}
	}
}

// holdUntil makes reads of id be held until t.
func (h *hub) holdUntil(id string, t time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.until) >= maxHeldIDs {
		for id, until := range h.until {
			if time.Now().After(until) {
				delete(h.until, id)
			}
		}
	}
	h.until[id] = t
}

// held returns until when reads of id are held; the zero time: they are not held.
func (h *hub) held(id string) time.Time {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.until[id]
}

// maxHeldIDs is the size at which expired entries are swept.
const maxHeldIDs = 4096
