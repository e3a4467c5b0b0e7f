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
	// steadyAfter is how long a process must have run so that the pause before
	// the next start is short again.
	steadyAfter = 30 * time.Second
)

// SupervisorConfig is the configuration of a Supervisor.
type SupervisorConfig struct {
	// DataDir is an absolute path.
	DataDir string
	// Listen is host:port. With port 0 a free port is chosen at the first start,
	// and the data dir keeps it.
	Listen string
	// Command starts Main; the arguments are added to it. Default: this
	// program with the subcommand s3.
	Command []string
	// Build identifies this program: a living process of another build is replaced.
	// Default: the identity of this program's file.
	Build string
	// DeadMan is Config.DeadMan.
	DeadMan time.Duration
	// ProbeEvery is how often the process is asked whether it answers, and
	// ProbeTimeout how long that may take; 5 s and 3 s by default. After three
	// failures in a row it is killed and started again.
	ProbeEvery   time.Duration
	ProbeTimeout time.Duration
	// TryEvery is how often an object is also put and got, and TryTimeout how long
	// that may take; 30 s each by default, because a busy disk is slow. After a
	// failure it is tried at every probe.
	TryEvery   time.Duration
	TryTimeout time.Duration
	// Disk tests the disk by writing a file to a folder. Tests replace it.
	Disk func(folder string) error
	// Log defaults to slog.Default.
	Log *slog.Logger
}

// A Supervisor keeps the process of a data dir's embedded S3 running while the
// server runs. The process may outlive the server: see Detach.
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

// NewSupervisor checks cfg. Start starts the process.
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
	cfg.Listen = addr.String() // in the handle's form: a host name would never be equal
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
	return &Supervisor{cfg: cfg, disk: disk{write: cfg.Disk, folder: filepath.Join(cfg.DataDir, "s3")}, bad: errors.New("the embedded S3 is not started")}, nil
}

// Start adopts the living process or starts one, and returns when it answers.
// It is then kept running until Stop or Detach, one of which must be called. The
// error is ErrInUse if another program uses the address. The caller holds the
// server's lock of the data dir.
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

// Endpoint is the embedded S3's URL, without a slash at the end. It does not change
// after Start.
func (s *Supervisor) Endpoint() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return "http://" + s.addr
}

// Healthy is nil while the embedded S3 works; otherwise it says in one sentence
// what is wrong.
func (s *Supervisor) Healthy() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.bad
}

// Restarts is how often the process was started again.
func (s *Supervisor) Restarts() int64 { return s.restarts.Load() }

// Stop ends the process. Running requests may finish until ctx ends, for at most
// 10 seconds. It must not be called while kernels live: they write to it.
func (s *Supervisor) Stop(ctx context.Context) error {
	c := s.release()
	if c == nil {
		return nil
	}
	defer c.letGo()
	return c.end(ctx)
}

// Detach ends watching the process, which runs on: as long as a kernel does, or
// until the next server adopts it.
func (s *Supervisor) Detach() {
	if c := s.release(); c != nil {
		c.letGo()
	}
}

// release ends keep and returns its process, if any.
func (s *Supervisor) release() *process {
	if s.stop == nil {
		return nil // never started
	}
	s.stop()
	<-s.done
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.child
	s.child, s.bad = nil, errors.New("the embedded S3 is no longer supervised")
	return c
}

// keep watches c, and starts the next process when c has ended, until ctx ends.
// Between Start and its return only keep changes s.child.
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
		s.set(nil, fmt.Errorf("the embedded S3 is being started again: %w", why))
		s.cfg.Log.Warn("embedded S3 is started again", "pid", c.PID, "reason", why)
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
				s.set(nil, fmt.Errorf("the embedded S3 cannot be started: %w", err))
				s.cfg.Log.Error("embedded S3 cannot be started", "error", err)
			}
		}
		s.restarts.Add(1)
		s.set(c, nil)
		s.cfg.Log.Info(c.origin(), "addr", c.Addr, "pid", c.PID)
	}
}

// watch returns nil when ctx ends, and otherwise why the process has ended. It
// kills a process that hangs or does not work, except if the cause is the disk:
// then the process is unhealthy until the disk works again.
func (s *Supervisor) watch(ctx context.Context, c *process) error {
	tick := time.NewTicker(s.cfg.ProbeEvery)
	defer tick.Stop()
	var worked time.Time // when an object was last put and got
	for failures := 0; ; {
		select {
		case <-ctx.Done():
			return nil
		case <-c.exited:
			return errors.New("its process ended")
		case <-tick.C:
		}
		err := probe(ctx, c.Addr, c.PID, s.cfg.ProbeTimeout)
		if err == nil && time.Since(worked) >= s.cfg.TryEvery {
			if err = try(ctx, c.Addr, s.key, s.cfg.TryTimeout); err == nil {
				worked = time.Now()
			} else if fault := s.disk.fault(ctx, s.cfg.TryTimeout); fault != nil {
				s.unhealthy(ctx, c, fmt.Errorf("the disk of the embedded S3 failed: %w", fault))
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
		worked = time.Time{} // so that it is tried again at the next probe
		s.unhealthy(ctx, c, err)
		if failures++; failures < maxProbeFailures {
			continue
		}
		s.cfg.Log.Warn("embedded S3 hangs and is killed", "pid", c.PID, "error", err)
		if killed := c.kill(); killed != nil {
			s.set(c, killed)
			s.cfg.Log.Error("embedded S3 cannot be killed", "pid", c.PID, "error", killed)
			failures = 0
			continue
		}
		return fmt.Errorf("it did not work: %w", err)
	}
}

// unhealthy makes bad the process's health, and logs it if it was healthy.
func (s *Supervisor) unhealthy(ctx context.Context, c *process, bad error) {
	if ctx.Err() != nil {
		return
	}
	if s.Healthy() == nil {
		s.cfg.Log.Warn("embedded S3 is unhealthy", "pid", c.PID, "error", bad)
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
