// Package conns bounds the connections of a server, so that clients that only
// keep connections open cannot lock out others: if there are as many as allowed,
// an idle one is closed for a new one. It also bounds how long a connection waits
// for a peer that neither sends nor receives.
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
	// Max is how many there may be at once.
	Max int
	// Idle is how long a connection may be idle before a request, and Head how long
	// the head of a request may take after its first byte. If Idle is 0, reads have
	// only the deadlines that the server sets.
	Idle, Head time.Duration
	// Stall is how long a read within a request may wait for the peer to send
	// something, and Take how long a write may wait for it to receive something,
	// including the time in which the peer processes what it has.
	Stall, Take time.Duration
}

// shortWait is how long Accept waits if the system is out of descriptors or memory.
const shortWait = 50 * time.Millisecond

// A Listener hands out connections of type *Conn.
type Listener struct {
	net.Listener
	limits Limits

	mu   sync.Mutex
	held map[*Conn]struct{} // guarded by mu
	busy map[string]int     // guarded by mu; the busy connections of each holder
}

// Limit bounds the connections of l.
func Limit(l net.Listener, limits Limits) *Listener {
	return &Listener{Listener: l, limits: limits, held: map[*Conn]struct{}{}, busy: map[string]int{}}
}

// Accept waits for the next connection. If the system is out of descriptors or
// memory, it closes an idle connection and tries again.
func (l *Listener) Accept() (net.Conn, error) {
	for {
		raw, err := l.Listener.Accept()
		switch {
		case err == nil:
			if c := l.admit(raw); c != nil {
				return c, nil
			}
		case isTransient(err):
			l.closeIdle()
			time.Sleep(shortWait)
		default:
			return nil, err
		}
	}
}

func isTransient(err error) bool {
	for _, e := range []error{syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM, syscall.ECONNABORTED} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

// admit adds a connection; if all others are busy, it closes it and returns nil.
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

// makeRoom closes an idle connection if there are as many as allowed, and reports
// whether there is room for another. Only Accept calls it, so the room stays free
// until it is used.
func (l *Listener) makeRoom() bool {
	l.mu.Lock()
	full := len(l.held) >= l.limits.Max
	l.mu.Unlock()
	return !full || l.closeIdle()
}

// closeIdle closes a connection that is not busy; false if there is none.
func (l *Listener) closeIdle() bool {
	l.mu.Lock()
	c := l.victim()
	l.mu.Unlock()
	if c == nil {
		return false
	}
	c.Close()
	return true
}

// holderShare is the part of the connections that one holder can keep busy: a quarter.
const holderShare = 4

// take counts a busy connection of a holder; false if it already has its share.
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

// victim is the connection to close first, nil if all are busy: one that has had no
// good request yet before an idle one that has, and of these the oldest one of the
// peer that has most. The caller holds mu.
func (l *Listener) victim() *Conn {
	type share struct {
		n      int
		oldest *Conn
		since  time.Time
	}
	shares := [2]map[netip.Prefix]*share{{}, {}}
	for c := range l.held {
		class, since := c.class()
		if class == busy {
			continue
		}
		of := shares[class]
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

// peer is the address of a connection's client, or the /64 network of an IPv6
// address: who has one address of it has all.
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

// Affordable is want, or half of the process's descriptors if that is less: how
// many connections there can be at once.
func Affordable(want int) int {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return want
	}
	return int(min(uint64(want), max(limit.Cur/2, 1)))
}
