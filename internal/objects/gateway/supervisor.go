package gateway

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ergane-dev/ergane/internal/credentials"
)

const (
	maxProbeFailures = 3
	firstBackoff     = 100 * time.Millisecond
	maxBackoff       = 5 * time.Second
	// steadyAfter is the life after which a death is a new one and not the
	// next of a series.
	steadyAfter = 30 * time.Second
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
	// ProbeEvery and ProbeTimeout are 5 s and 3 s by default: whether the process
	// accepts and answers. After three failures in a row it is killed and started
	// anew.
	ProbeEvery   time.Duration
	ProbeTimeout time.Duration
	// TryEvery is how often an object is put and got as well, and at every probe
	// after one could not be; TryTimeout is how long that may take. 30 s each by
	// default: a busy disk is slow.
	TryEvery   time.Duration
	TryTimeout time.Duration
	// Disk writes a file to a folder for a try; by default a real one.
	Disk func(folder string) error
	// Log defaults to slog.Default.
	Log *slog.Logger
}

// A Supervisor keeps the store's process of one data dir alive while the
// server lives. The process itself outlives the server: see Detach.
type Supervisor struct {
	cfg  SupervisorConfig
	key  credentials.Key // the server's
	disk disk            // used by keep alone
	stop context.CancelFunc
	done chan struct{} // closed when keep has returned

	restarts atomic.Int64

	mu    sync.Mutex
	addr  string   // guarded by mu; set once by Start
	child *process // guarded by mu; nil while there is none
	bad   error    // guarded by mu; why Healthy fails
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
	addr, err := net.ResolveTCPAddr("tcp", cfg.Listen)
	if err != nil {
		return nil, fmt.Errorf("S3 address %q: %w", cfg.Listen, err)
	}
	if addr.IP == nil {
		addr.IP = net.IPv6unspecified
	}
	cfg.Listen = addr.String() // as the handle has it: a name would never compare equal
	cfg.DeadMan = cmp.Or(cfg.DeadMan, defaultDeadMan)
	cfg.ProbeEvery = cmp.Or(cfg.ProbeEvery, 5*time.Second)
	cfg.ProbeTimeout = cmp.Or(cfg.ProbeTimeout, 3*time.Second)
	cfg.TryEvery = cmp.Or(cfg.TryEvery, 30*time.Second)
	cfg.TryTimeout = cmp.Or(cfg.TryTimeout, 30*time.Second)
	if cfg.Disk == nil {
		cfg.Disk = writeThrough
	}
	if cfg.Log == nil {
		cfg.Log = slog.Default()
	}
	return &Supervisor{cfg: cfg, disk: disk{write: cfg.Disk, folder: filepath.Join(cfg.DataDir, "s3")}, bad: errors.New("the store is not started")}, nil
}

// Start adopts the store's living process, or starts one, and returns when it
// answers. From then on it is kept alive until Stop or Detach, one of which
// must be called. An address in use by another program is an error that says so
// (ErrInUse). The caller holds the server's lock of the data dir.
func (s *Supervisor) Start(ctx context.Context) error {
	ring, err := credentials.Open(s.cfg.DataDir)
	if err != nil {
		return err
	}
	s.key = ring.Root()
	c, err := s.obtain(ctx, s.first)
	if err != nil {
		return err
	}
	s.cfg.Log.Info(c.origin(), "addr", c.Addr, "pid", c.PID)
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

// Healthy is nil while the store serves; else it says in a sentence what is wrong.
func (s *Supervisor) Healthy() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.bad
}

// Restarts is how often the store's process had to be started anew.
func (s *Supervisor) Restarts() int64 { return s.restarts.Load() }

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
func (s *Supervisor) release() *process {
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

// keep watches c and its successors until ctx ends. It is the only one that
// changes s.child after Start, until it returns.
func (s *Supervisor) keep(ctx context.Context, c *process) {
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
			if c, err = s.obtain(ctx, s.again); err != nil && ctx.Err() == nil {
				s.set(nil, fmt.Errorf("the store cannot be started: %w", err))
				s.cfg.Log.Error("store cannot be started", "error", err)
			}
		}
		s.restarts.Add(1)
		s.set(c, nil)
		s.cfg.Log.Info(c.origin(), "addr", c.Addr, "pid", c.PID)
	}
}

// watch returns nil when ctx ends, and otherwise why the process is no more; a
// process that hangs, or serves nobody, is killed. One that cannot write because
// nobody can is left alone: it is unhealthy until the disk is well.
func (s *Supervisor) watch(ctx context.Context, c *process) error {
	tick := time.NewTicker(s.cfg.ProbeEvery)
	defer tick.Stop()
	var served time.Time // when it last did
	for failures := 0; ; {
		select {
		case <-ctx.Done():
			return nil
		case <-c.exited:
			return errors.New("its process ended")
		case <-tick.C:
		}
		err := probe(ctx, c.Addr, c.PID, s.cfg.ProbeTimeout)
		if err == nil && time.Since(served) >= s.cfg.TryEvery {
			if err = try(ctx, c.Addr, s.key, s.cfg.TryTimeout); err == nil {
				served = time.Now()
			} else if fault := s.disk.fault(ctx, s.cfg.TryTimeout); fault != nil {
				s.unwell(ctx, c, fmt.Errorf("the store's disk fails: %w", fault))
				continue
			}
		}
		if ctx.Err() != nil {
			return nil
		}
		if err == nil {
			failures = 0
			s.set(c, nil)
			continue
		}
		served = time.Time{} // to be seen again
		s.unwell(ctx, c, err)
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
		return fmt.Errorf("it served nobody: %w", err)
	}
}

// unwell says so, and for the log when it is news.
func (s *Supervisor) unwell(ctx context.Context, c *process, bad error) {
	if ctx.Err() != nil {
		return
	}
	if s.Healthy() == nil {
		s.cfg.Log.Warn("store is not well", "pid", c.PID, "error", bad)
	}
	s.set(c, bad)
}

func (s *Supervisor) set(c *process, bad error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.child, s.bad = c, bad
}

func (s *Supervisor) address() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.addr
}
