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

// piece is how much is written under one deadline: a peer that takes it in time moves.
const piece = 256 << 10

// standing is what a connection has done for its place.
type standing int

const (
	stranger standing = iota // no good request yet
	resting                  // between good requests
	busy                     // in one
)

// phase is what a connection reads.
type phase int

const (
	idle phase = iota // nothing yet of the next request
	head              // a request's head
	body
)

// A Conn is a connection that a Listener has accepted.
type Conn struct {
	net.Conn
	listener *Listener
	peer     netip.Prefix

	mu      sync.Mutex
	known   bool      // guarded by mu; has carried a good request
	busy    bool      // guarded by mu; between Begin and Rest
	since   time.Time // guarded by mu; when it was accepted, or last rested after a good request
	reads   phase     // guarded by mu
	by      time.Time // guarded by mu; when the phase idle or head must be over
	readBy  time.Time // guarded by mu; what the server above has set
	writeBy time.Time // guarded by mu; likewise
	after   func()    // guarded by mu; to be called at the request's end
	gone    bool      // guarded by mu; it has been closed

	closing sync.Once
	closed  error
}

func newConn(l *Listener, raw net.Conn) *Conn {
	now := time.Now()
	return &Conn{Conn: raw, listener: l, peer: peer(raw), since: now, by: now.Add(l.limits.Idle)}
}

// Of is the Conn below a connection, as net/http has it; nil where there is none.
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

// Begin is Conn.Begin for a good request, by its context, of a holder such as an
// access key. Beyond a quarter of all connections a holder makes none busy: those
// may be given up in mid-request.
func Begin(ctx context.Context, holder string) {
	c, _ := ctx.Value(connKey{}).(*Conn)
	if c == nil {
		return
	}
	if is, _ := c.standing(); is == busy {
		return // with another request of HTTP/2
	}
	if !c.listener.take(holder) {
		c.meet()
		return
	}
	c.Begin(true, func() { c.listener.giveBack(holder) })
}

// Rested is for http.Server.ConnState.
func Rested(c net.Conn, state http.ConnState) {
	if c := Of(c); c != nil && state == http.StateIdle {
		c.Rest()
	}
}

// meet says that a good request has come.
func (c *Conn) meet() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.known {
		c.known, c.since = true, time.Now()
	}
}

// Begin says that a request is carried out from now on: until Rest the
// connection is not given up for another one. good says that the request is from
// somebody known. after, if any, is called once when the request is over.
func (c *Conn) Begin(good bool, after func()) {
	c.mu.Lock()
	over := c.after
	if c.gone { // given up while the request was being looked at
		over = after
	} else {
		c.busy, c.known, c.reads, c.after = true, c.known || good, body, after
	}
	c.mu.Unlock()
	if over != nil {
		over()
	}
}

// Rest says that the answer has been sent, and that the next request may come.
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

// standing is what the connection has done for its place, and since when.
func (c *Conn) standing() (standing, time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.busy:
		return busy, c.since
	case c.known:
		return resting, c.since
	}
	return stranger, c.since
}

// Close ends the connection, and the request that is in it.
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

// CloseWrite is for servers that let the last answer arrive before they close.
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

// awaitRead sets the deadline of the next read. The lock is held meanwhile, so
// that a deadline which ends the read at once is not overwritten.
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

// ReadFrom is how a file goes out without a copy, where the system can.
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

// SetReadDeadline is the server's, on top of the limits.
func (c *Conn) SetReadDeadline(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.readBy = t
	return c.Conn.SetReadDeadline(t)
}

// SetWriteDeadline is the server's, on top of the limits.
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

// earlier is the earlier of two deadlines, of which the second may be none.
func earlier(a, b time.Time) time.Time {
	if b.IsZero() || a.Before(b) {
		return a
	}
	return b
}
