// Package gateway is Ergane's embedded S3: the code of the child process
// `ergane s3` (Main, Serve) and of its supervisor in the server (Supervisor).
//
// versitygw implements the protocol (its packages s3api and posix). This package
// adds what versitygw lacks for this use: acknowledged objects are on disk, what
// a process that died in a request left behind is repaired, keys that the file
// system cannot hold are refused, requests may be signed for any region, and a
// bucket is created with its first object.
//
// It is a process of its own because kernels write to it while no server runs,
// because posix.New changes the working directory of the whole process, and
// because a failure in it must not end sessions.
package gateway

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"path/filepath"
	"syscall"
	"time"

	"github.com/ergane-dev/ergane/internal/conns"
	"github.com/ergane-dev/ergane/internal/credentials"
	"github.com/ergane-dev/ergane/internal/flock"
)

// Region is the region that the embedded S3 reports. Requests signed for any
// other region are accepted as well.
const Region = "us-east-1"

const defaultDeadMan = 30 * time.Second

// ErrInUse says that another program listens on the address.
var ErrInUse = errors.New("the address is in use by another program")

// Config is the configuration of Serve. It has no secrets: the keys are read from
// the data dir.
type Config struct {
	// DataDir is an absolute path. The objects lie in <DataDir>/s3.
	DataDir string
	// Listen is host:port; port 0 means any free port.
	Listen string
	// DeadMan is how long the embedded S3 runs on after the last server and kernel
	// have ended; 0 means 30 seconds, a negative value for ever.
	DeadMan time.Duration
	// Build is written to the handle, so that a server of another build
	// knows that it should start its own.
	Build string
	// Connections and Stall replace constants of limits.go if they are not 0: how
	// many connections there may be at once, and how long a client may pause while
	// it sends.
	Connections int
	Stall       time.Duration
	// Ready, if set, is called once with the address when requests are taken.
	Ready func(addr string)
	// Log defaults to slog.Default.
	Log *slog.Logger
}

// Serve runs the embedded S3 until ctx ends, or until neither the server nor any
// kernel of the data dir has been alive for Config.DeadMan; in both cases it
// returns nil. It takes <DataDir>/s3.lock (flock.ErrHeld if another process has
// it), repairs what an earlier process left unfinished, listens, and only then
// writes the handle. A process calls it at most once: it changes the working
// directory.
func Serve(ctx context.Context, cfg Config) error {
	if !filepath.IsAbs(cfg.DataDir) {
		return fmt.Errorf("data dir %q is not an absolute path", cfg.DataDir)
	}
	if cfg.DeadMan == 0 {
		cfg.DeadMan = defaultDeadMan
	}
	if cfg.Log == nil {
		cfg.Log = slog.Default()
	}
	lock, err := flock.Acquire(filepath.Join(cfg.DataDir, lockName))
	if err != nil {
		return fmt.Errorf("lock the embedded S3: %w", err)
	}
	defer lock.Release()
	ring, err := credentials.Open(cfg.DataDir)
	if err != nil {
		return err
	}
	previous, _ := readHandle(cfg.DataDir)
	self, err := ownHandle()
	if err != nil {
		return err
	}
	limits := cfg.limits()
	objects, err := openPosix(cfg.DataDir, ring.Root().AccessKeyID, limits)
	if err != nil {
		return fmt.Errorf("open the embedded S3: %w", err)
	}
	defer objects.Shutdown()
	if err := objects.repair(previous.BootID == self.BootID, cfg.Log); err != nil {
		return fmt.Errorf("repair the embedded S3: %w", err)
	}
	socket, err := listen(cfg.Listen)
	if err != nil {
		return err
	}
	defer socket.Close() // already closed, except after an error
	self.Addr, self.Build = socket.Addr().String(), cfg.Build

	srv, err := newServer(objects, ring, cfg.DataDir, limits)
	if err != nil {
		return fmt.Errorf("start the embedded S3: %w", err)
	}
	served := srv.serve(conns.Limit(socket, limits.conns()))
	if err := self.write(cfg.DataDir); err != nil {
		err = errors.Join(err, srv.shutdown())
		<-served
		return err
	}
	cfg.Log.Info("embedded S3 is listening", "addr", self.Addr, "pid", self.PID)
	if cfg.Ready != nil {
		cfg.Ready(self.Addr)
	}

	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	chores := make(chan struct{})
	go func() {
		defer close(chores)
		objects.chores(ctx, previous.Clean, cfg.Log)
	}()
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		if cfg.DeadMan > 0 && waitAlone(ctx, cfg.DataDir, cfg.DeadMan) {
			cancel(errors.New("no server and no kernel is left"))
		}
	}()
	select {
	case <-ctx.Done():
		cfg.Log.Info("embedded S3 is stopping", "reason", context.Cause(ctx))
	case err := <-served:
		cancel(nil)
		<-chores
		<-watched
		return fmt.Errorf("serve %s: %w", self.Addr, err)
	}
	<-chores
	<-watched
	if err := srv.shutdown(); err != nil {
		cfg.Log.Warn("requests were interrupted by the stop", "error", err)
		return nil
	}
	<-served
	self.Clean = true
	return self.write(cfg.DataDir)
}

// listen opens the socket. An address in use has an error of its own.
func listen(addr string) (net.Listener, error) {
	l, err := net.Listen("tcp", addr)
	if errors.Is(err, syscall.EADDRINUSE) {
		return nil, fmt.Errorf("%s: %w", addr, ErrInUse)
	}
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w", addr, err)
	}
	return l, nil
}

// objectDirs are the folders of a data dir's objects, and of their attributes if
// the file system has no extended ones. versitygw requires that neither path is a
// prefix of the other.
func objectDirs(dataDir string) (objects, attributes string) {
	return filepath.Join(dataDir, "s3", "data"), filepath.Join(dataDir, "s3", "meta")
}
