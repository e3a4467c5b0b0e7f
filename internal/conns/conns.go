// Package conns bounds the connections of a server, so that those who only hold
// them cannot keep out those who use them: where all places are taken, a new
// connection gets that of one that does nothing. And it lets no connection wait
// for ever for a peer that does not move.
package conns

import (
	"errors"
	"net"
	"net/netip"
	"sync"
	"syscall"
	"time"
)

// Limits bound the connections of one listener.
type Limits struct {
	// Max is how many there are at once.
	Max int
	// Idle is how long one may rest before a request, and Head how long the
	// head of a request may take from its first byte on. Without Idle the
	// server above sees to all reading itself.
	Idle, Head time.Duration
	// Stall is how long a read in mid-request, and Take how long a write, may
	// wait for the peer to move at all. Those who read may have to do something
	// with what they have before they go on.
	Stall, Take time.Duration
}

// shortWait is how long Accept waits where the system has nothing to accept with.
const shortWait = 50 * time.Millisecond

// A Listener hands out connections of type *Conn.
type Listener struct {
	net.Listener
	limits Limits

	mu   sync.Mutex
	held map[*Conn]struct{} // guarded by mu
	busy map[string]int     // guarded by mu; how many each holder has made busy
}

// Limit bounds the connections of l.
func Limit(l net.Listener, limits Limits) *Listener {
	return &Listener{Listener: l, limits: limits, held: map[*Conn]struct{}{}, busy: map[string]int{}}
}

// Accept waits for the next connection. To run out of descriptors or memory is
// no error: it is waited for, and a connection that does nothing is given up.
func (l *Listener) Accept() (net.Conn, error) {
	for {
		raw, err := l.Listener.Accept()
		switch {
		case err == nil:
			if c := l.admit(raw); c != nil {
				return c, nil
			}
		case passing(err):
			l.giveUp()
			time.Sleep(shortWait)
		default:
			return nil, err
		}
	}
}

func passing(err error) bool {
	for _, e := range []error{syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM, syscall.ECONNABORTED} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

// admit gives a connection a place; nil, and it is closed, where all are busy.
func (l *Listener) admit(raw net.Conn) *Conn {
	if !l.makeRoom() {
		raw.Close()
		return nil
	}
	c := newConn(l, raw)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.held[c] = struct{}{}
	return c
}

// makeRoom gives up a connection if all places are taken. Only Accept calls it,
// so that the room stays until it is used.
func (l *Listener) makeRoom() bool {
	l.mu.Lock()
	full := len(l.held) >= l.limits.Max
	l.mu.Unlock()
	return !full || l.giveUp()
}

// giveUp closes a connection that does nothing, if there is one.
func (l *Listener) giveUp() bool {
	l.mu.Lock()
	c := l.victim()
	l.mu.Unlock()
	if c == nil {
		return false
	}
	c.Close()
	return true
}

// holderShare is which part of the connections one holder can keep busy.
const holderShare = 4

// take counts a busy connection of a holder; false where it has its share.
func (l *Listener) take(holder string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.busy[holder] >= max(l.limits.Max/holderShare, 1) {
		return false
	}
	l.busy[holder]++
	return true
}

func (l *Listener) giveBack(holder string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.busy[holder]--; l.busy[holder] == 0 {
		delete(l.busy, holder)
	}
}

func (l *Listener) remove(c *Conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.held, c)
}

// victim is the connection to give up first, nil where all are busy: one that
// has carried no good request yet before one that rests after such, and of these
// the oldest of the peer that has most. The caller holds mu.
func (l *Listener) victim() *Conn {
	type share struct {
		n      int
		oldest *Conn
		since  time.Time
	}
	shares := [2]map[netip.Prefix]*share{{}, {}}
	for c := range l.held {
		standing, since := c.standing()
		if standing == busy {
			continue
		}
		of := shares[standing]
		s := of[c.peer]
		if s == nil {
			s = &share{oldest: c, since: since}
			of[c.peer] = s
		}
		s.n++
		if since.Before(s.since) {
			s.oldest, s.since = c, since
		}
	}
	for _, of := range shares {
		most := &share{}
		for _, s := range of {
			if s.n > most.n {
				most = s
			}
		}
		if most.oldest != nil {
			return most.oldest
		}
	}
	return nil
}

// peer is whom a connection is from, as far as an address tells: whoever has one
// of IPv6 has all of its network.
func peer(raw net.Conn) netip.Prefix {
	addr, err := netip.ParseAddrPort(raw.RemoteAddr().String())
	if err != nil {
		return netip.Prefix{} // a Unix socket
	}
	ip, bits := addr.Addr().Unmap().WithZone(""), 32
	if ip.Is6() {
		bits = 64
	}
	p, _ := ip.Prefix(bits)
	return p
}

// Affordable is how many of so many connections there can be at once when half
// of the process's descriptors are for other things.
func Affordable(want int) int {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return want
	}
	return int(min(uint64(want), max(limit.Cur/2, 1)))
}
