// Package metastore is the catalog of all sessions: Hive's Metastore, a child
// process of the server's that is there from its first use on.
//
// The server itself listens where sessions look for the catalog. At the first
// connection it starts the child, and hands the bytes of each connection on; a
// child that has died is started again at the next one. Connections that
// cannot be served are answered, in Thrift, with why.
package metastore

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"path/filepath"
	"sync"
	"time"
)

const (
	defaultStartTimeout = time.Minute
	// failedFor is for how long a start that failed is not tried again: clients
	// repeat their calls, and each would wait for another start.
	failedFor = 5 * time.Second
	// answerTimeout bounds the wait for the call of a client that gets no child.
	answerTimeout = 5 * time.Second
	// maxConns bounds how many connections there are at a time: each takes two
	// descriptors here, and a thread there. A client beyond that waits.
	maxConns = 256
)

// Config is what a Server needs to know.
type Config struct {
	// Dir is the catalog's folder, an absolute path. It is made if it is not there.
	Dir string
	// Command says how the child is started. It is asked before each start, when
	// no other child has the folder, and may wait for what it needs.
	Command func(ctx context.Context) (Command, error)
	// StartTimeout bounds the time from a connection to the child's answer; 0: a minute.
	StartTimeout time.Duration
	// Log defaults to slog.Default.
	Log *slog.Logger
}

// A Server is the catalog of one data dir.
type Server struct {
	cfg    Config
	socket net.Listener
	ctx    context.Context // ends with Close
	stop   context.CancelFunc
	work   sync.WaitGroup // everything that runs for the server

	starting sync.Mutex // held by who starts a child

	mu     sync.Mutex
	child  *process  // guarded by mu; it may have ended
	bad    error     // guarded by mu; why there is no child, after a failed start
	badAt  time.Time // guarded by mu
	starts int       // guarded by mu
	conns  map[net.Conn]bool
}

// Serve answers the connections of a socket, which it closes in the end. It
// returns at once; Close must be called.
func Serve(socket net.Listener, cfg Config) *Server {
	cfg.StartTimeout = cmp.Or(cfg.StartTimeout, defaultStartTimeout)
	if cfg.Log == nil {
		cfg.Log = slog.Default()
	}
	s := &Server{cfg: cfg, socket: socket, conns: map[net.Conn]bool{}}
	s.ctx, s.stop = context.WithCancel(context.Background())
	s.work.Go(s.accept)
	return s
}

// Addr is where the catalog is, host:port.
func (s *Server) Addr() string { return s.socket.Addr().String() }

// State tells in a sentence how the catalog is; an error says why it cannot be used.
func (s *Server) State() (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.child.alive():
		return fmt.Sprintf("process %d", s.child.pid), nil
	case s.bad != nil:
		return "", s.bad
	}
	return "starts when it is first used", nil
}

// Running reports whether the child is there.
func (s *Server) Running() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.child.alive()
}

// Starts is how often a child was started.
func (s *Server) Starts() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.starts
}

// Close ends every connection and the child, and returns when both are gone.
func (s *Server) Close() {
	s.stop()
	s.socket.Close()
	s.mu.Lock()
	for c := range s.conns {
		c.Close()
	}
	s.mu.Unlock()
	s.work.Wait()
	if s.child != nil { // nobody starts one any more
		s.child.end()
	}
}

func (s *Server) accept() {
	free := make(chan struct{}, maxConns)
	for {
		select {
		case free <- struct{}{}:
		case <-s.ctx.Done():
			return
		}
		conn, err := s.socket.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil { // out of descriptors, for instance
			s.cfg.Log.Warn("catalog cannot take a connection", "error", err)
			select {
			case <-s.ctx.Done():
				return
			case <-time.After(100 * time.Millisecond):
			}
			<-free
			continue
		}
		s.work.Go(func() {
			defer func() { <-free }()
			s.serve(conn)
		})
	}
}

func (s *Server) serve(client net.Conn) {
	if !s.hold(client) {
		return
	}
	defer s.drop(client)
	if err := cutLog(filepath.Join(s.cfg.Dir, logName)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		s.cfg.Log.Warn("catalog's log cannot be cut", "error", err)
	}
	server, err := s.connect()
	if err != nil {
		if s.ctx.Err() == nil {
			_ = client.SetDeadline(time.Now().Add(answerTimeout))
			if refuse(client, "the catalog cannot be used: "+err.Error()) == nil {
				// What is unread at the close would make it a reset, which the answer does not survive.
				_ = closeWrite(client)
				_, _ = io.Copy(io.Discard, client)
			}
		}
		return
	}
	if !s.hold(server) {
		return
	}
	defer s.drop(server)
	var back sync.WaitGroup
	back.Go(func() { hand(client, server) })
	hand(server, client)
	back.Wait()
}

// hand hands on what comes from one end, and then that it has ended.
func hand(to, from net.Conn) {
	_, err := io.Copy(to, from)
	if err == nil && closeWrite(to) == nil {
		return
	}
	to.Close()
	from.Close()
}

// closeWrite tells the other end that nothing more comes.
func closeWrite(c net.Conn) error {
	tcp, ok := c.(*net.TCPConn)
	if !ok {
		return errors.ErrUnsupported
	}
	return tcp.CloseWrite()
}

// hold makes a connection one that Close ends; false, and ended, where that was called.
func (s *Server) hold(c net.Conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ctx.Err() != nil {
		c.Close()
		return false
	}
	s.conns[c] = true
	return true
}

func (s *Server) drop(c net.Conn) {
	c.Close()
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.conns, c)
}

// connect connects to the child, which it starts where there is none.
func (s *Server) connect() (net.Conn, error) {
	ctx, cancel := context.WithTimeoutCause(s.ctx, s.cfg.StartTimeout, fmt.Errorf("it did not start within %v", s.cfg.StartTimeout))
	defer cancel()
	for {
		c, err := s.obtain(ctx)
		if err != nil {
			return nil, err
		}
		conn, err := new(net.Dialer).DialContext(ctx, "tcp", c.addr)
		if err == nil {
			return conn, nil
		}
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		if c.alive() { // it takes no connections, or is about to be seen dead
			select {
			case <-c.exited:
			case <-ctx.Done():
			case <-time.After(100 * time.Millisecond):
			}
		}
	}
}

// obtain returns the living child, or starts one: one at a time, for all who wait.
func (s *Server) obtain(ctx context.Context) (*process, error) {
	s.starting.Lock()
	defer s.starting.Unlock()
	if ctx.Err() != nil { // the one before took all the time there was
		return nil, context.Cause(ctx)
	}
	s.mu.Lock()
	c, bad, badAt, starts := s.child, s.bad, s.badAt, s.starts
	s.mu.Unlock()
	if c.alive() {
		return c, nil
	}
	if bad != nil && time.Since(badAt) < failedFor {
		return nil, bad
	}
	if c != nil {
		s.cfg.Log.Warn("catalog has died", "pid", c.pid, "how", c.how())
	}
	began := time.Now()
	c, err := s.start(ctx)
	s.mu.Lock()
	defer s.mu.Unlock()
	if err != nil {
		if s.ctx.Err() == nil {
			s.cfg.Log.Error("catalog cannot be started", "error", err)
		}
		s.bad, s.badAt = err, time.Now()
		return nil, err
	}
	s.child, s.bad, s.starts = c, nil, starts+1
	s.cfg.Log.Info("catalog started", "pid", c.pid, "addr", c.addr, "took", time.Since(began).Round(time.Millisecond))
	return c, nil
}

func (s *Server) start(ctx context.Context) (*process, error) {
	return startChild(ctx, s.cfg.Dir, s.cfg.Command)
}
