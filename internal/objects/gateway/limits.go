package gateway

import (
	"cmp"
	"time"

	"github.com/ergane-dev/ergane/internal/conns"
)

// What one process holds at once. Whatever is beyond it is answered 503
// SlowDown, which every SDK retries.
const (
	// maxConnections may be idle; when all are taken, those that do nothing give
	// way. A process that may have few descriptors has fewer.
	maxConnections = 4096
	// maxRequests are carried out at once, each of which may hold a thread in a
	// call of the file system and a buffer. One key has a keyShare-th of them,
	// and so have requests without a key, all together.
	maxRequests = 512
	keyShare    = 4
	// The server's key has a serverShare-th of maxRequests beyond those, for its
	// deliveries; and its probe has probeRequests of its own.
	serverShare   = 8
	probeRequests = 4
	// requestShare is how many connections there are for each request at least.
	requestShare = 4

	// maxDocument is how long a body may be that is not an object's: it is read
	// into memory. The longest are lists of 10,000 parts or of 1,000 keys.
	maxDocument = 4 << 20
	// maxDocuments is how much of those there is at once, by what they say of
	// their length; one key has a keyShare-th.
	maxDocuments = 64 << 20

	// idleFor is how long a connection may rest, and headFor how long the head of
	// a request may take.
	idleFor = 2 * time.Minute
	headFor = 30 * time.Second
	// stallFor is how long a client that sends a body may pause. takeFor is how
	// long one may pause that reads an object: Spark reads on when it has worked
	// on what it has.
	stallFor = time.Minute
	takeFor  = 5 * time.Minute

	maxParts = 10_000
)

// limits are those of one process.
type limits struct {
	connections, requests int
	stall                 time.Duration
}

// limits are what cfg asks for, or the constants, as far as descriptors last.
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

// all is how many requests there are at most, of whomever.
func (l limits) all() int { return l.requests + l.server() + probeRequests }

// server is how many requests are kept for the server's key.
func (l limits) server() int { return max(l.requests/serverShare, 1) }
