package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"github.com/ergane-dev/ergane/internal/child"
	"github.com/ergane-dev/ergane/internal/flock"
	"github.com/ergane-dev/ergane/internal/logfile"
)

const (
	// startTimeout bounds the time from start to listening, which includes the
	// repair of many objects.
	startTimeout = time.Minute
	// stopTimeout is a little longer than versitygw waits for running requests.
	stopTimeout = 12 * time.Second
	// killTimeout bounds the wait for a killed process; only one that is stuck in
	// a system call (of a dead disk) takes longer.
	killTimeout = 10 * time.Second
	maxLog      = 1 << 20
)

// A process is the living process of the embedded S3, started by this server or
// an earlier one.
type process struct {
	handle
	held    *child.Process
	cmd     *exec.Cmd // nil if an earlier server started it
	exited  chan struct{}
	unwatch context.CancelFunc
	// watcher is closed when the goroutine that closes exited is gone.
	watcher chan struct{}
}

func newProcess(h handle, held *child.Process, cmd *exec.Cmd) *process {
	ctx, cancel := context.WithCancel(context.Background())
	c := &process{handle: h, held: held, cmd: cmd, exited: make(chan struct{}), unwatch: cancel, watcher: make(chan struct{})}
	go func() {
		defer close(c.watcher)
		if c.held.Wait(ctx) != nil {
			return // by letGo
		}
		if c.cmd != nil {
			_ = c.cmd.Wait() // it has ended: this only reaps it
		}
		close(c.exited)
	}()
	return c
}

// origin is a line for the log: how the server got the process.
func (c *process) origin() string {
	if c.cmd == nil {
		return "embedded S3 adopted"
	}
	return "embedded S3 started"
}

// letGo ends watching the process, which runs on.
func (c *process) letGo() {
	c.unwatch()
	<-c.watcher
	c.held.Close()
	if c.cmd != nil && c.cmd.ProcessState == nil {
		_ = c.cmd.Process.Release()
	}
}

// end asks the process to end, kills it when ctx ends or after stopTimeout, and
// returns when it has ended.
func (c *process) end(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, stopTimeout)
	defer cancel()
	_ = c.held.Signal(syscall.SIGTERM)
	select {
	case <-c.exited:
		return nil
	case <-ctx.Done():
	}
	return c.kill()
}

func (c *process) kill() error {
	_ = c.held.Signal(syscall.SIGKILL)
	select {
	case <-c.exited:
		return nil
	case <-time.After(killTimeout):
		return fmt.Errorf("the embedded S3's process %d does not end", c.PID)
	}
}

// start starts a process and returns when it listens on cfg.Listen. If that
// fails, nothing is left of it.
func start(ctx context.Context, command []string, cfg Config) (*process, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, startTimeout, fmt.Errorf("the embedded S3 did not start within %v", startTimeout))
	defer cancel()
	report, theirs, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer report.Close()
	// For its log, and the text of a panic.
	log, err := logfile.ForChild(filepath.Join(cfg.DataDir, logName), maxLog)
	if err != nil {
		theirs.Close()
		return nil, err
	}
	defer log.Close()
	cmd := exec.Command(command[0], append(command[1:len(command):len(command)], arguments(cfg)...)...)
	cmd.Dir = cfg.DataDir
	cmd.Stdout, cmd.Stderr = log, log
	cmd.ExtraFiles = []*os.File{theirs}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	err = cmd.Start()
	theirs.Close()
	if err != nil {
		return nil, fmt.Errorf("start the embedded S3: %w", err)
	}
	undo := func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	}
	stop := context.AfterFunc(ctx, func() { report.SetReadDeadline(time.Unix(1, 0)) })
	defer stop()
	var r readiness
	err = json.NewDecoder(io.LimitReader(report, 64<<10)).Decode(&r)
	switch {
	case ctx.Err() != nil:
		err = context.Cause(ctx)
	case err != nil:
		err = fmt.Errorf("the embedded S3 ended before it was ready; see %s", log.Name())
	case r.InUse:
		err = fmt.Errorf("%s: %w", cfg.Listen, ErrInUse)
	case r.Held:
		err = fmt.Errorf("%s: %w", filepath.Join(cfg.DataDir, lockName), flock.ErrHeld)
	case r.Error != "":
		err = errors.New(r.Error)
	}
	if err != nil {
		undo()
		return nil, err
	}
	h, err := readHandle(cfg.DataDir)
	if err == nil && h.PID != cmd.Process.Pid {
		err = fmt.Errorf("%s names process %d and not %d", handleName, h.PID, cmd.Process.Pid)
	}
	if err != nil {
		undo()
		return nil, err
	}
	held, err := child.Open(h.Identity)
	if errors.Is(err, child.ErrGone) {
		err = fmt.Errorf("the embedded S3 ended at once; see %s", log.Name())
	}
	if err != nil {
		undo()
		return nil, err
	}
	return newProcess(h, held, cmd), nil
}

// find opens the data dir's living process, whichever server started it; nil if
// there is none.
func find(ctx context.Context, dataDir string) (*process, error) {
	lock := filepath.Join(dataDir, lockName)
	ctx, cancel := context.WithTimeout(ctx, killTimeout)
	defer cancel()
	for {
		held, err := flock.Held(lock)
		if err != nil || !held {
			return nil, err
		}
		// A process that has the lock and no handle yet is starting.
		if h, err := readHandle(dataDir); err == nil {
			held, err := child.Open(h.Identity)
			if err == nil {
				return newProcess(h, held, nil), nil
			}
			if !errors.Is(err, child.ErrGone) {
				return nil, err
			}
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("%s is held by a process that %s does not name: is another server using %s?", lock, handleName, dataDir)
		case <-time.After(20 * time.Millisecond):
		}
	}
}
