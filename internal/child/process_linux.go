package child

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// ErrGone: the process has ended; another one may have its PID now.
var ErrGone = errors.New("no such process")

// A Process is one process, a child of ours or not, held by a descriptor (pidfd):
// another process that gets its PID is never taken for it.
type Process struct {
	PID int
	f   *os.File
}

// Open finds a process again. The error is ErrGone if it has ended, reaped or
// not; any other error means that the process could not be looked for. An
// identity without a boot id is of the current boot.
func Open(id Identity) (*Process, error) {
	boot, err := BootID()
	if err != nil {
		return nil, fmt.Errorf("find boot id: %w", err)
	}
	if id.BootID != "" && id.BootID != boot {
		return nil, ErrGone
	}
	p, err := OpenPID(id.PID)
	if err != nil {
		return nil, err
	}
	// Only now: the pidfd keeps the PID from being reused.
	st, err := ReadStat(id.PID)
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, unix.ESRCH):
		err = ErrGone
	case err != nil: // this does not mean that it has ended
		err = fmt.Errorf("look at process %d: %w", id.PID, err)
	case st.Start != id.Start || p.Dead():
		err = ErrGone
	}
	if err != nil {
		p.Close()
		return nil, err
	}
	return p, nil
}

// OpenPID opens a process whose PID cannot have been reused, such as a child that
// was not reaped. The error is ErrGone if no process has the PID.
func OpenPID(pid int) (*Process, error) {
	fd, err := unix.PidfdOpen(pid, 0)
	// The last two are for the id of a thread, which is no process.
	if errors.Is(err, unix.ESRCH) || errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOENT) {
		return nil, ErrGone
	}
	if err != nil {
		return nil, fmt.Errorf("pidfd of process %d: %w", pid, err)
	}
	// Non-blocking, so that waiting costs a goroutine and not a thread.
	if err := unix.SetNonblock(fd, true); err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("pidfd of process %d: %w", pid, err)
	}
	return &Process{PID: pid, f: os.NewFile(uintptr(fd), "pidfd")}, nil
}

// Wait returns nil when the process has ended, or the cause of ctx's end. Only one
// call may run at a time.
func (p *Process) Wait(ctx context.Context) error {
	raw, err := p.f.SyscallConn()
	if err != nil {
		return err
	}
	if err := p.f.SetReadDeadline(time.Time{}); err != nil {
		return fmt.Errorf("wait for process %d: %w", p.PID, err)
	}
	stop := context.AfterFunc(ctx, func() { p.f.SetReadDeadline(time.Unix(1, 0)) })
	defer stop()
	err = raw.Read(func(fd uintptr) bool { return ended(fd) })
	if err != nil && ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

// WaitOrKill waits for the end of the process, and kills it after the time given.
// It waits until ctx ends.
func (p *Process) WaitOrKill(ctx context.Context, after time.Duration) error {
	limited, cancel := context.WithTimeout(ctx, after)
	err := p.Wait(limited)
	cancel()
	if err == nil || ctx.Err() != nil {
		return err
	}
	p.Signal(syscall.SIGKILL)
	return p.Wait(ctx)
}

// Dead reports whether the process has ended, reaped or not.
func (p *Process) Dead() bool {
	raw, err := p.f.SyscallConn()
	if err != nil {
		return true
	}
	dead := true
	if err := raw.Control(func(fd uintptr) { dead = ended(fd) }); err != nil {
		return true
	}
	return dead
}

func ended(pidfd uintptr) bool {
	fds := []unix.PollFd{{Fd: int32(pidfd), Events: unix.POLLIN}}
	for {
		n, err := unix.Poll(fds, 0)
		if !errors.Is(err, unix.EINTR) {
			return err == nil && n > 0
		}
	}
}

// Signal sends a signal to the process and to nothing else. A process that has ended is no error.
func (p *Process) Signal(sig syscall.Signal) error {
	raw, err := p.f.SyscallConn()
	if err != nil {
		return err
	}
	var sent error
	if err := raw.Control(func(fd uintptr) { sent = unix.PidfdSendSignal(int(fd), sig, nil, 0) }); err != nil {
		return err
	}
	if errors.Is(sent, unix.ESRCH) {
		return nil
	}
	return sent
}

// KillIf kills the process that has the PID if meant returns true. It opens a
// pidfd before it calls meant, so that no other process can get the PID meanwhile.
func KillIf(pid int, meant func() bool) {
	p, err := OpenPID(pid)
	if err != nil {
		return
	}
	defer p.Close()
	if meant() {
		p.Signal(syscall.SIGKILL)
	}
}

// Reap reaps the process if it is a child of ours that has ended.
func (p *Process) Reap() {
	raw, err := p.f.SyscallConn()
	if err != nil {
		return
	}
	raw.Control(func(fd uintptr) {
		unix.Waitid(unix.P_PIDFD, int(fd), nil, unix.WEXITED|unix.WNOHANG, nil)
	})
}

// Close closes the descriptor. The process runs on.
func (p *Process) Close() { p.f.Close() }
