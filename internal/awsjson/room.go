package awsjson

import (
	"io"
	"net/http"
	"sync"
)

const (
	// maxKeyBodies and maxBodies are how many bytes of bodies are held at once,
	// sent and decompressed, for one key and for all of them. The last
	// maxKeyBodies of all are kept for requests that are verified.
	maxKeyBodies = 16 << 20
	maxBodies    = 64 << 20
	// freeBody is what every request may hold besides, so that short calls,
	// nearly all there are, pass while long ones fill the room.
	freeBody = 4 << 10
)

// A room is what the bodies of all requests have in memory, from the first byte
// that is read until they are decoded. It keeps apart what was verified before
// its body was read and what only names a key: whoever knows no more than a
// key's id can fill what its unverified requests share, and no other key's.
type room struct {
	mu      sync.Mutex
	all     int64            // guarded by mu
	holders map[holder]int64 // guarded by mu; those that hold something
}

type holder struct {
	key      string
	verified bool // before the body is read
}

// A hold is what one request has of the room. It is one goroutine's.
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

// grow takes n bytes more, or reports that there is no room for them.
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

// leave gives back all that the request has taken.
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

// reader passes on what from gives while there is room for it; beyond that its
// error is errNoRoom.
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

// errNoRoom refuses a body that there is no room for as AWS refuses calls that
// come too fast; SDKs wait and try again.
var errNoRoom = &Error{Type: "ThrottlingException", Status: http.StatusBadRequest, Message: "Rate exceeded"}
