package gateway

import (
	"cmp"
	"time"

	"github.com/ergane-dev/ergane/internal/conns"
)

// The limits of one process. A request beyond them is answered with 503
// SlowDown, which every SDK retries.
const (
	// maxConnections is how many connections there may be; if there are more, idle
	// ones are closed. A process with few descriptors has fewer.
	maxConnections = 4096
	// maxRequests run at once; each may need a buffer, and a thread for a call of
	// the file system. One key may have 1/keyShare of them, and so may all requests
	// without a key together.
	maxRequests = 512
	keyShare    = 4
	// The server's key may have maxRequests/serverShare more, for its deliveries,
	// and its probe has probeRequests of its own.
	serverShare   = 8
	probeRequests = 4
	// requestShare is the smallest number of connections per request.
	requestShare = 4

	// maxDocument is the longest body, in bytes, that is not an object's content:
	// such a body is read into memory. The longest are lists of 10,000 parts or of
	// 1,000 keys.
	maxDocument = 4 << 20
	// maxDocuments is how many bytes of those there may be at once, by their
	// Content-Length; one key may have 1/keyShare of it.
	maxDocuments = 64 << 20

	// idleFor is how long a connection may be idle, and headFor how long the head
	// of a request may take.
	idleFor = 2 * time.Minute
	headFor = 30 * time.Second
	// stallFor is how long a client may pause that sends a body, and takeFor how
	// long one that reads an object: Spark reads on only after it has processed
	// what it has.
	stallFor = time.Minute
	takeFor  = 5 * time.Minute

	maxParts = 10_000
)

// limits are those of one process.
type limits struct {
	connections, requests int
	stall                 time.Duration
}

// limits are those of cfg, or else the constants, as far as there are descriptors.
func (cfg Config) limits() limits {
	l := limits{
		connections: conns.Affordable(cmp.Or(cfg.Connections, maxConnections)),
		stall:       cmp.Or(cfg.Stall, stallFor),
	}
	l.requests = max(min(maxRequests, l.connections/requestShare), keyShare)
	return l
}

// conns are the limits of the connections.
func (l limits) conns() conns.Limits {
	return conns.Limits{Max: l.connections, Idle: idleFor, Head: headFor, Stall: l.stall, Take: takeFor}
}

// all is how many requests there may be at once, of all keys and without a key.
func (l limits) all() int { return l.requests + l.server() + probeRequests }

// server is how many requests are reserved for the server's key.
func (l limits) server() int { return max(l.requests/serverShare, 1) }
