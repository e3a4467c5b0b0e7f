package session

import "testing"

func TestHubForgetsWatchersOfWhatNeverMovesAgain(t *testing.T) {
	t.Parallel()
	h := newHub()
	one, other := h.watch("a"), h.watch("a")
	h.unwatch("a", one)
	h.moved("a")
	if !isClosed(other) {
		t.Error("the watcher that stayed was not woken")
	}
	later := h.watch("a")
	h.unwatch("a", other) // of the move before
	if isClosed(later) || len(h.waiting) != 1 {
		t.Error("a late unwatch removed a new watcher")
	}
	h.unwatch("a", later)
	if len(h.waiting) != 0 {
		t.Errorf("%d things are still watched", len(h.waiting))
	}
}
