package gateway

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"

	"github.com/ergane-dev/ergane/internal/flock"
)

// A free port is chosen below the range that systems use for outgoing
// connections, so that none of those has the data dir's port at the next start.
const lowestPort, ports = 20_000, 10_000

// attempts is how often a process may appear between the search for one and the
// start of one: each was started by a server that was killed during its own start.
const attempts = 5

// obtain adopts the living process, or starts one. If one has appeared meanwhile
// (the server that had started it was killed before that had the lock), obtain
// looks at that one.
func (s *Supervisor) obtain(ctx context.Context, start func(context.Context) (*process, error)) (c *process, err error) {
	for range attempts {
		if c, err = s.adopt(ctx); c != nil || err != nil {
			return c, err
		}
		if c, err = start(ctx); !errors.Is(err, flock.ErrHeld) {
			break
		}
	}
	return c, err
}

// adopt finds a living process that may stay, and ends one that may not.
func (s *Supervisor) adopt(ctx context.Context) (*process, error) {
	c, err := find(ctx, s.cfg.DataDir)
	if c == nil || err != nil {
		return nil, err
	}
	if why := s.unfit(c); why != "" {
		s.cfg.Log.Warn("embedded S3 is replaced", "pid", c.PID, "reason", why)
		defer c.letGo()
		return nil, c.end(ctx)
	}
	for range maxProbeFailures {
		if err = probe(ctx, c.Addr, c.PID, s.cfg.ProbeTimeout); err == nil {
			return c, nil
		}
	}
	defer c.letGo()
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	s.cfg.Log.Warn("embedded S3 hangs and is killed", "pid", c.PID, "error", err)
	return nil, c.kill()
}

// unfit says why a living process cannot be adopted; empty if it can.
func (s *Supervisor) unfit(c *process) string {
	host, port := s.split()
	had := s.address()
	switch {
	case had != "" && c.Addr != had:
		return fmt.Sprintf("it listens on %s and not on %s", c.Addr, had)
	case c.Build != s.cfg.Build:
		return "it is of another build"
	case port != "0" && c.Addr != s.cfg.Listen, !sameHost(c.Addr, host):
		return fmt.Sprintf("it listens on %s and not on %s", c.Addr, s.cfg.Listen)
	}
	return ""
}

func (s *Supervisor) split() (host, port string) {
	host, port, _ = net.SplitHostPort(s.cfg.Listen) // checked by NewSupervisor
	return host, port
}

func sameHost(addr, host string) bool {
	h, _, err := net.SplitHostPort(addr)
	return err == nil && h == host
}

// first starts the first process of this server: on the configured address, or
// on the data dir's former port, or on any free one.
func (s *Supervisor) first(ctx context.Context) (*process, error) {
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
		s.cfg.Log.Warn("embedded S3 moves to another port", "error", err)
	}
	for range 20 {
		addr := net.JoinHostPort(host, strconv.Itoa(lowestPort+rand.IntN(ports)))
		if c, err := s.start(ctx, addr); !errors.Is(err, ErrInUse) {
			return c, err
		}
	}
	return s.start(ctx, s.cfg.Listen)
}

// again starts the next process of this server at the address of the last one.
func (s *Supervisor) again(ctx context.Context) (*process, error) {
	return s.start(ctx, s.address())
}

func (s *Supervisor) start(ctx context.Context, addr string) (*process, error) {
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
