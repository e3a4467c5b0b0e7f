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

// ErrGone: the process has ended, or its number belongs to another one by now.
var ErrGone = errors.New("no such process")

// A Process is one particular process, a child of ours or not, held by a
// descriptor (pidfd), so that a number that was given out again is never
// mistaken for it.
type Process struct {
	PID int
	f   *os.File
}

// Open finds a process again. It is ErrGone where it has ended, reaped or not;
// any other error says that the process could not be looked for. An identity
// without a boot id is of the present boot.
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
	// Looked at only after the number has been pinned.
	st, err := ReadStat(id.PID)
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, unix.ESRCH):
		err = ErrGone
	case err != nil: // not being able to look is not seeing that it is gone
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

// OpenPID pins a process whose number cannot have been given out again, such
// as a child that was not reaped. ErrGone where no process has the number.
func OpenPID(pid int) (*Process, error) {
	fd, err := unix.PidfdOpen(pid, 0)
	// The last two are for the number of a thread: no process has that.
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

// Wait returns nil once the process has ended, or the cause of the end of ctx.
// One caller at a time.
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

// WaitOrKill waits for the end of the process, which it kills after the time
// given. It waits as long as ctx lasts.
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

// KillIf kills the process that has the number if it is the one that was meant,
// which is asked when the number has been pinned.
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

// Reap collects the process if it is an ended child of ours.
func (p *Process) Reap() {
	raw, err := p.f.SyscallConn()
	if err != nil {
		return
	}
	raw.Control(func(fd uintptr) {
		unix.Waitid(unix.P_PIDFD, int(fd), nil, unix.WEXITED|unix.WNOHANG, nil)
	})
}

// Close lets go of the process, which lives on.
func (p *Process) Close() { p.f.Close() }
