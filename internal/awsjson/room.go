package awsjson

import (
	"io"
	"net/http"
	"sync"
)

const (
	// maxKeyBodies and maxBodies bound the bytes of bodies in memory, as sent and
	// decompressed, for one key and for all of them. Of maxBodies, maxKeyBodies are
	// reserved for verified requests.
	maxKeyBodies = 16 << 20
	maxBodies    = 64 << 20
	// freeBody bytes of each request are not counted, so that short calls, which are
	// nearly all, are accepted while long ones use all the memory.
	freeBody = 4 << 10
)

// A room counts the bytes of all requests' bodies in memory, from the first byte
// that is read until they are decoded. Requests that were verified before their
// body was read are counted apart: who knows only the id of a key can use up only
// the share of that key's unverified requests.
type room struct {
	mu      sync.Mutex
	all     int64            // guarded by mu
	holders map[holder]int64 // guarded by mu; those that hold something
}

type holder struct {
	key      string
	verified bool // before the body is read
}

// A hold is one request's part of the room. One goroutine uses it.
type hold struct {
	room   *room
	holder holder
	free   int64 // left of freeBody
	size   int64
}

// enter begins a request, which ends with leave.
func (r *room) enter(key string, verified bool) *hold {
	return &hold{room: r, holder: holder{key, verified}, free: freeBody}
}

// grow takes n more bytes; false if they would exceed the bounds.
func (h *hold) grow(n int64) bool {
	free := min(n, h.free)
	h.free -= free
	if n -= free; n == 0 {
		return true
	}
	all := int64(maxBodies)
	if !h.holder.verified {
		all -= maxKeyBodies
	}
	r := h.room
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.all+n > all || r.holders[h.holder]+n > maxKeyBodies {
		return false
	}
	r.all += n
	r.holders[h.holder] += n
	h.size += n
	return true
}

// leave returns all bytes that the request has taken.
func (h *hold) leave() {
	r := h.room
	r.mu.Lock()
	defer r.mu.Unlock()
	r.all -= h.size
	if r.holders[h.holder] -= h.size; r.holders[h.holder] == 0 {
		delete(r.holders, h.holder)
	}
	h.size = 0
}

// reader reads from from and counts its bytes; beyond the bounds it fails with
// errNoRoom.
func (h *hold) reader(from io.Reader) io.Reader { return holdingReader{from, h} }

type holdingReader struct {
	from io.Reader
	hold *hold
}

func (r holdingReader) Read(p []byte) (int, error) {
	n, err := r.from.Read(p)
	if !r.hold.grow(int64(n)) {
		return 0, errNoRoom
	}
	return n, err
}

// errNoRoom refuses a body that would exceed the bounds, as AWS refuses calls
// above the rate; SDKs wait and try again.
var errNoRoom = &Error{Type: "ThrottlingException", Status: http.StatusBadRequest, Message: "Rate exceeded"}
