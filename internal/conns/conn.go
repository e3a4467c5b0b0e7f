package conns

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"time"
)

// piece is how many bytes are written with one deadline: the peer must receive them in that time.
const piece = 256 << 10

// A class says how valuable a connection is.
type class int

const (
	unproven class = iota // no good request yet
	idling                // between good requests
	busy                  // in a good request
)

// A phase is the part of a request that a connection reads.
type phase int

const (
	idle phase = iota // nothing of the next request yet
	head              // a request's head
	body
)

// A Conn is a connection that a Listener has accepted.
type Conn struct {
	net.Conn
	listener *Listener
	peer     netip.Prefix

	mu      sync.Mutex
	known   bool      // guarded by mu; has had a good request
	busy    bool      // guarded by mu; between Begin and Rest
	since   time.Time // guarded by mu; when it was accepted, or its last good request ended
	reads   phase     // guarded by mu
	by      time.Time // guarded by mu; the deadline of the phase idle or head
	readBy  time.Time // guarded by mu; the deadline that the server has set
	writeBy time.Time // guarded by mu; the same for writes
	after   func()    // guarded by mu; called at the request's end
	gone    bool      // guarded by mu; it was closed

	closing sync.Once
	closed  error
}

func newConn(l *Listener, raw net.Conn) *Conn {
	now := time.Now()
	return &Conn{Conn: raw, listener: l, peer: peer(raw), since: now, by: now.Add(l.limits.Idle)}
}

// Of is the Conn below a connection as net/http passes it; nil if there is none.
func Of(c net.Conn) *Conn {
	for {
		switch is := c.(type) {
		case *Conn:
			return is
		case interface{ NetConn() net.Conn }: // TLS
			c = is.NetConn()
		default:
			return nil
		}
	}
}

type connKey struct{}

// Context is for http.Server.ConnContext: Begin finds the connection in what it returns.
func Context(ctx context.Context, c net.Conn) context.Context {
	return context.WithValue(ctx, connKey{}, Of(c))
}

// Begin is Conn.Begin for a good request, found by its context. holder is for
// instance an access key: more than a quarter of all connections of one holder do
// not count as busy and may be closed within a request.
func Begin(ctx context.Context, holder string) {
	c, _ := ctx.Value(connKey{}).(*Conn)
	if c == nil {
		return
	}
	if is, _ := c.class(); is == busy {
		return // with another request, of HTTP/2
	}
	if !c.listener.take(holder) {
		c.meet()
		return
	}
	c.Begin(true, func() { c.listener.giveBack(holder) })
}

// Rested is for http.Server.ConnState: it calls Conn.Rest when the connection is idle.
func Rested(c net.Conn, state http.ConnState) {
	if c := Of(c); c != nil && state == http.StateIdle {
		c.Rest()
	}
}

// meet records that the connection has had a good request.
func (c *Conn) meet() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.known {
		c.known, c.since = true, time.Now()
	}
}

// Begin says that a request is now being carried out: until Rest the connection is
// not closed for another one. good says that the request is from a known client.
// after, which may be nil, is called once when the request has ended.
func (c *Conn) Begin(good bool, after func()) {
	c.mu.Lock()
	over := c.after
	if c.gone { // closed for another one while the request was being checked
		over = after
	} else {
		c.busy, c.known, c.reads, c.after = true, c.known || good, body, after
	}
	c.mu.Unlock()
	if over != nil {
		over()
	}
}

// Rest says that the answer has been sent and the next request may follow.
func (c *Conn) Rest() {
	c.mu.Lock()
	now := time.Now()
	if c.busy && c.known {
		c.since = now
	}
	after := c.after
	c.busy, c.reads, c.by, c.after = false, idle, now.Add(c.listener.limits.Idle), nil
	c.mu.Unlock()
	if after != nil {
		after()
	}
}

// class is the connection's class, and since when it has it.
func (c *Conn) class() (class, time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.busy:
		return busy, c.since
	case c.known:
		return idling, c.since
	}
	return unproven, c.since
}

// Close closes the connection, and ends its request.
func (c *Conn) Close() error {
	c.closing.Do(func() {
		c.listener.remove(c)
		c.closed = c.Conn.Close()
		c.mu.Lock()
		c.gone = true
		c.mu.Unlock()
		c.Rest()
	})
	return c.closed
}

// CloseWrite is for servers that wait until the last answer has arrived before they close.
func (c *Conn) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return nil
}

func (c *Conn) Read(p []byte) (int, error) {
	if c.listener.limits.Idle == 0 {
		return c.Conn.Read(p)
	}
	if err := c.awaitRead(); err != nil {
		return 0, err
	}
	n, err := c.Conn.Read(p)
	if n > 0 {
		c.mu.Lock()
		if c.reads == idle {
			c.reads, c.by = head, time.Now().Add(c.listener.limits.Head)
		}
		c.mu.Unlock()
	}
	return n, err
}

// awaitRead sets the deadline of the next read. It holds the lock, so that it does
// not overwrite a deadline that is set to end the read at once.
func (c *Conn) awaitRead() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	by := c.by
	if c.reads == body {
		by = time.Now().Add(c.listener.limits.Stall)
	}
	return c.Conn.SetReadDeadline(earlier(by, c.readBy))
}

func (c *Conn) awaitWrite() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.Conn.SetWriteDeadline(earlier(time.Now().Add(c.listener.limits.Take), c.writeBy))
}

func (c *Conn) Write(p []byte) (written int, err error) {
	for {
		if err := c.awaitWrite(); err != nil {
			return written, err
		}
		n, err := c.Conn.Write(p[:min(len(p), piece)])
		written += n
		if p = p[n:]; err != nil || len(p) == 0 {
			return written, err
		}
	}
}

// ReadFrom sends a file without copying it, if the system can.
func (c *Conn) ReadFrom(r io.Reader) (int64, error) {
	left := int64(-1)
	limited, ok := r.(*io.LimitedReader)
	if ok { // one within another would be copied
		r, left = limited.R, limited.N
	}
	var all int64
	for left != 0 {
		if err := c.awaitWrite(); err != nil {
			return all, err
		}
		want := int64(piece)
		if left > 0 {
			want = min(left, want)
		}
		n, err := io.Copy(c.Conn, &io.LimitedReader{R: r, N: want})
		all += n
		if ok {
			limited.N -= n
			left -= n
		}
		if err != nil || n < want {
			return all, err
		}
	}
	return all, nil
}

// SetReadDeadline sets the server's own deadline; the limits hold as well.
func (c *Conn) SetReadDeadline(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.readBy = t
	return c.Conn.SetReadDeadline(t)
}

// SetWriteDeadline sets the server's own deadline; the limits hold as well.
func (c *Conn) SetWriteDeadline(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.writeBy = t
	return c.Conn.SetWriteDeadline(t)
}

// SetDeadline sets both.
func (c *Conn) SetDeadline(t time.Time) error {
	if err := c.SetReadDeadline(t); err != nil {
		return err
	}
	return c.SetWriteDeadline(t)
}

// earlier is the earlier of two deadlines; a zero b is no deadline.
func earlier(a, b time.Time) time.Time {
	if b.IsZero() || a.Before(b) {
		return a
	}
	return b
}
