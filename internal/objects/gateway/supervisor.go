package gateway

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"os"
	"strconv"
	"sync"
	"time"
)

const (
	maxProbeFailures = 3
	firstBackoff     = 100 * time.Millisecond
	maxBackoff       = 5 * time.Second
	// steadyAfter is the life after which a death is a new one and not the
	// next of a series.
	steadyAfter = 30 * time.Second
	// Ports for "any free one" are taken below the range from which systems
	// give ports to outgoing connections, so that one of those does not sit on
	// the data dir's port at the next start.
	lowestPort, ports = 20_000, 10_000
)

// SupervisorConfig is what a Supervisor needs to know.
type SupervisorConfig struct {
	// DataDir is an absolute path.
	DataDir string
	// Listen is host:port. With port 0 any free port is taken at first and
	// then kept for the data dir's life.
	Listen string
	// Command starts Main; the arguments are added to it. Default: this
	// program with the subcommand s3.
	Command []string
	// Build tells programs apart: a living store of another build is replaced.
	// Default: the identity of this program's file.
	Build string
	// DeadMan is Config.DeadMan.
	DeadMan time.Duration
	// ProbeEvery and ProbeTimeout are 5 s and 3 s by default; after three
	// failures in a row the process is killed and started anew.
	ProbeEvery   time.Duration
	ProbeTimeout time.Duration
	// Log defaults to slog.Default.
	Log *slog.Logger
}

// A Supervisor keeps the store's process of one data dir alive while the
// server lives. The process itself outlives the server: see Detach.
type Supervisor struct {
	cfg  SupervisorConfig
	stop context.CancelFunc
	done chan struct{} // closed when keep has returned

	mu    sync.Mutex
	addr  string // guarded by mu; set once by Start
	child *child // guarded by mu; nil while there is none
	bad   error  // guarded by mu; why Healthy fails
}

// NewSupervisor does nothing yet; see Start.
func NewSupervisor(cfg SupervisorConfig) (*Supervisor, error) {
	if len(cfg.Command) == 0 || cfg.Build == "" {
		self, err := os.Executable()
		if err != nil {
			return nil, fmt.Errorf("find this program: %w", err)
		}
		if len(cfg.Command) == 0 {
			cfg.Command = []string{self, "s3"}
		}
		if cfg.Build == "" {
			fi, err := os.Stat(self)
			if err != nil {
				return nil, fmt.Errorf("find this program: %w", err)
			}
			cfg.Build = fmt.Sprintf("%x-%x", fi.Size(), fi.ModTime().UnixNano())
		}
	}
	if _, _, err := net.SplitHostPort(cfg.Listen); err != nil {
		return nil, fmt.Errorf("S3 address %q: %w", cfg.Listen, err)
	}
	cfg.DeadMan = cmp.Or(cfg.DeadMan, defaultDeadMan)
	cfg.ProbeEvery = cmp.Or(cfg.ProbeEvery, 5*time.Second)
	cfg.ProbeTimeout = cmp.Or(cfg.ProbeTimeout, 3*time.Second)
	if cfg.Log == nil {
		cfg.Log = slog.Default()
	}
	return &Supervisor{cfg: cfg, bad: errors.New("the store is not started")}, nil
}

// Start adopts the store's living process, or starts one, and returns when it
// answers. From then on it is kept alive until Stop or Detach, one of which
// must be called. An address in use by another program is an error that says so
// (ErrInUse). The caller holds the server's lock of the data dir.
func (s *Supervisor) Start(ctx context.Context) error {
	c, err := s.adopt(ctx)
	if err != nil {
		return err
	}
	if c == nil {
		if c, err = s.first(ctx); err != nil {
			return err
		}
		s.cfg.Log.Info("store started", "addr", c.Addr, "pid", c.PID)
	} else {
		s.cfg.Log.Info("store adopted", "addr", c.Addr, "pid", c.PID)
	}
	keeping, stop := context.WithCancel(context.Background())
	s.stop, s.done = stop, make(chan struct{})
	s.mu.Lock()
	s.addr, s.child, s.bad = c.Addr, c, nil
	s.mu.Unlock()
	go s.keep(keeping, c)
	return nil
}

// Endpoint is the store's URL, without a slash at the end. It does not change
// after Start.
func (s *Supervisor) Endpoint() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return "http://" + s.addr
}

// Healthy is nil while the store answers; else it says in a sentence what is wrong.
func (s *Supervisor) Healthy() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.bad
}

// Stop ends the process: requests have until ctx ends, and 10 seconds at most.
// Not to be called while kernels live, which write through it.
func (s *Supervisor) Stop(ctx context.Context) error {
	c := s.release()
	if c == nil {
		return nil
	}
	defer c.letGo()
	return c.end(ctx)
}

// Detach leaves the process alone; it lives on as long as a kernel does, or
// the next server adopts it.
func (s *Supervisor) Detach() {
	if c := s.release(); c != nil {
		c.letGo()
	}
}

// release ends the keeping and returns the process that was kept, if any.
func (s *Supervisor) release() *child {
	if s.stop == nil {
		return nil // never started
	}
	s.stop()
	<-s.done
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.child
	s.child, s.bad = nil, errors.New("the store is not kept any more")
	return c
}

// adopt finds a living process that may stay, and ends one that may not.
func (s *Supervisor) adopt(ctx context.Context) (*child, error) {
	c, err := find(ctx, s.cfg.DataDir)
	if c == nil || err != nil {
		return nil, err
	}
	why := s.unfit(ctx, c)
	if why == nil {
		return c, nil
	}
	if ctx.Err() != nil {
		c.letGo()
		return nil, context.Cause(ctx)
	}
	s.cfg.Log.Warn("store is replaced", "pid", c.PID, "reason", why)
	defer c.letGo()
	return nil, c.end(ctx)
}

func (s *Supervisor) unfit(ctx context.Context, c *child) error {
	if c.Build != s.cfg.Build {
		return errors.New("it is of another build")
	}
	if host, port := s.split(); c.Addr != s.cfg.Listen && port != "0" || !sameHost(c.Addr, host) {
		return fmt.Errorf("it listens on %s and not on %s", c.Addr, s.cfg.Listen)
	}
	var err error
	for range maxProbeFailures {
		if err = probe(ctx, c.Addr, c.PID, s.cfg.ProbeTimeout); err == nil {
			break
		}
	}
	return err
}

func (s *Supervisor) split() (host, port string) {
	host, port, _ = net.SplitHostPort(s.cfg.Listen) // checked by NewSupervisor
	return host, port
}

func sameHost(addr, host string) bool {
	h, _, err := net.SplitHostPort(addr)
	return err == nil && h == host
}

// first starts the first process of this server, on the configured address, or
// on the port that the data dir has had so far, or on any free one.
func (s *Supervisor) first(ctx context.Context) (*child, error) {
	host, port := s.split()
	if port != "0" {
		c, err := s.start(ctx, s.cfg.Listen)
		if errors.Is(err, ErrInUse) {
			return nil, fmt.Errorf("cannot serve S3: %w; end that program, or give S3 another address", err)
		}
		return c, err
	}
	if h, err := readHandle(s.cfg.DataDir); err == nil && sameHost(h.Addr, host) {
		c, err := s.start(ctx, h.Addr)
		if !errors.Is(err, ErrInUse) {
			return c, err
		}
		s.cfg.Log.Warn("store moves to another port", "error", err)
	}
	for range 20 {
		addr := net.JoinHostPort(host, strconv.Itoa(lowestPort+rand.IntN(ports)))
		if c, err := s.start(ctx, addr); !errors.Is(err, ErrInUse) {
			return c, err
		}
	}
	return s.start(ctx, s.cfg.Listen)
}

func (s *Supervisor) start(ctx context.Context, addr string) (*child, error) {
	c, err := start(ctx, s.cfg.Command, Config{
		DataDir: s.cfg.DataDir, Listen: addr, DeadMan: s.cfg.DeadMan, Build: s.cfg.Build,
	})
	if err != nil {
		return nil, err
	}
	if err := probe(ctx, c.Addr, c.PID, s.cfg.ProbeTimeout); err != nil {
		defer c.letGo()
		return nil, errors.Join(err, c.kill())
	}
	return c, nil
}

// keep watches c and its successors until ctx ends. It is the only one that
// changes s.child after Start, until it returns.
func (s *Supervisor) keep(ctx context.Context, c *child) {
	defer close(s.done)
	backoff := firstBackoff
	for {
		began := time.Now()
		why := s.watch(ctx, c)
		if why == nil {
			return
		}
		c.letGo()
		s.set(nil, fmt.Errorf("the store is being started anew: %w", why))
		s.cfg.Log.Warn("store is started anew", "pid", c.PID, "reason", why)
		if time.Since(began) > steadyAfter {
			backoff = firstBackoff
		}
		for c = nil; c == nil; backoff = min(2*backoff, maxBackoff) {
			select {
			case <-ctx.Done():
				return
			case <-time.After(backoff):
			}
			var err error
			if c, err = s.start(ctx, s.address()); err != nil && ctx.Err() == nil {
				s.set(nil, fmt.Errorf("the store cannot be started: %w", err))
				s.cfg.Log.Error("store cannot be started", "error", err)
			}
		}
		s.set(c, nil)
		s.cfg.Log.Info("store started", "addr", c.Addr, "pid", c.PID)
	}
}

// watch returns nil when ctx ends, and otherwise why the process is no more;
// a process that hangs is killed.
func (s *Supervisor) watch(ctx context.Context, c *child) error {
	tick := time.NewTicker(s.cfg.ProbeEvery)
	defer tick.Stop()
	for failures := 0; ; {
		select {
		case <-ctx.Done():
			return nil
		case <-c.exited:
			return errors.New("its process ended")
		case <-tick.C:
		}
		err := probe(ctx, c.Addr, c.PID, s.cfg.ProbeTimeout)
		if ctx.Err() != nil {
			return nil
		}
		if err == nil {
			failures = 0
			s.set(c, nil)
			continue
		}
		s.set(c, err)
		if failures++; failures < maxProbeFailures {
			continue
		}
		s.cfg.Log.Warn("store hangs and is killed", "pid", c.PID, "error", err)
		if killed := c.kill(); killed != nil {
			s.set(c, killed)
			s.cfg.Log.Error("store cannot be killed", "pid", c.PID, "error", killed)
			failures = 0
			continue
		}
		return fmt.Errorf("it hung: %w", err)
	}
}

func (s *Supervisor) set(c *child, bad error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.child, s.bad = c, bad
}

func (s *Supervisor) address() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.addr
}
