// Package metastore is the catalog of all sessions: Hive's Metastore, a child
// process of the server that is started at its first use.
//
// The server itself listens at the catalog's address. At the first connection it
// starts the child, and passes the bytes of each connection on; a child that has
// died is started again at the next connection. Connections that cannot be served
// are answered, in Thrift, with the reason.
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
	// failedFor is how long a failed start is not tried again: clients repeat their
	// calls, and each would wait for another start.
	failedFor = 5 * time.Second
	// answerTimeout bounds the wait for the call of a client that is refused.
	answerTimeout = 5 * time.Second
	// maxConns is how many connections there may be at once: each takes two
	// descriptors of the server and a thread of the child. Further clients wait.
	maxConns = 256
)

// Config is the configuration of a Server.
type Config struct {
	// Dir is the catalog's folder, an absolute path. It is created if it does not exist.
	Dir string
	// Command returns how the child is started. It is called before each start, when
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

// Serve serves the connections of a socket, which Close closes. It returns at
// once; Close must be called.
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

// Addr is the catalog's address, host:port.
func (s *Server) Addr() string { return s.socket.Addr().String() }

// State describes the catalog in a few words; an error says why it cannot be used.
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

// Running reports whether the child is running.
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

// Close ends every connection and the child, and returns when all have ended.
func (s *Server) Close() {
	s.stop()
	s.socket.Close()
	s.mu.Lock()
	for c := range s.conns {
		c.Close()
	}
	s.mu.Unlock()
	s.work.Wait()
	if s.child != nil { // no other one is started now
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
				// To close with unread bytes would reset the connection, and the client might not get the answer.
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
	back.Go(func() { forward(client, server) })
	forward(server, client)
	back.Wait()
}

// forward passes on what comes from one side, and then its end.
func forward(to, from net.Conn) {
	_, err := io.Copy(to, from)
	if err == nil && closeWrite(to) == nil {
		return
	}
	to.Close()
	from.Close()
}

// closeWrite ends what is sent to the other side.
func closeWrite(c net.Conn) error {
	tcp, ok := c.(*net.TCPConn)
	if !ok {
		return errors.ErrUnsupported
	}
	return tcp.CloseWrite()
}

// hold adds a connection to those that Close closes; after Close it closes the
// connection and returns false.
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

// connect connects to the child, and starts it if it does not run.
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
		if c.alive() { // it accepts no connections, or has ended and was not reaped yet
			select {
			case <-c.exited:
			case <-ctx.Done():
			case <-time.After(100 * time.Millisecond):
			}
		}
	}
}

// obtain returns the living child, or starts one, for all connections that wait.
func (s *Server) obtain(ctx context.Context) (*process, error) {
	s.starting.Lock()
	defer s.starting.Unlock()
	if ctx.Err() != nil { // the start before this one took all the time
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
