package session

import (
	"sync"
	"time"
)

// hub wakes whoever waits for a move of one session or calculation, and keeps
// until when reads of it are worth holding.
type hub struct {
	mu      sync.Mutex
	waiting map[string]chan struct{} // closed by the next move
	until   map[string]time.Time
}

func newHub() *hub {
	return &hub{waiting: map[string]chan struct{}{}, until: map[string]time.Time{}}
}

// watch returns a channel that the next move of id closes. Look at the state
// after watching, not before, or a move in between is missed.
func (h *hub) watch(id string) <-chan struct{} {
	h.mu.Lock()
	defer h.mu.Unlock()
	ch := h.waiting[id]
	if ch == nil {
		ch = make(chan struct{})
		h.waiting[id] = ch
	}
	return ch
}

// moved wakes the watchers of the ids.
func (h *hub) moved(ids ...string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, id := range ids {
		if ch := h.waiting[id]; ch != nil {
			close(ch)
			delete(h.waiting, id)
		}
	}
}

// holdUntil makes reads of id worth holding until t.
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

// held returns until when reads of id are held; the zero time is not at all.
func (h *hub) held(id string) time.Time {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.until[id]
}

// maxHeldIDs is the size at which expired entries are swept.
const maxHeldIDs = 4096
