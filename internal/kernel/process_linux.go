package kernel

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

// errNoProcess: the process is gone, or its number belongs to another one by now.
var errNoProcess = errors.New("no such process")

// A process is one particular process, child or not, held by a descriptor
// (pidfd), so that a number that was given out again is never mistaken for it.
type process struct {
	pid int
	f   *os.File
}

// openProcess finds the process that has the number pid and came into being
// at start (clock ticks since boot). A zombie counts as gone.
func openProcess(pid int, start uint64) (*process, error) {
	p, err := openPID(pid)
	if err != nil {
		return nil, err
	}
	// Looked at only after the number has been pinned.
	st, err := readStat(pid)
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, unix.ESRCH):
		err = errNoProcess
	case err != nil: // not being able to look is not seeing that it is gone
		err = fmt.Errorf("look at process %d: %w", pid, err)
	case st.start != start || p.dead():
		err = errNoProcess
	}
	if err != nil {
		p.close()
		return nil, err
	}
	return p, nil
}

// openPID pins a process whose number cannot have been given out again, such as an unreaped child.
func openPID(pid int) (*process, error) {
	fd, err := unix.PidfdOpen(pid, 0)
	if errors.Is(err, unix.ESRCH) {
		return nil, errNoProcess
	}
	if err != nil {
		return nil, fmt.Errorf("pidfd of process %d: %w", pid, err)
	}
	// Non-blocking, so that waiting costs a goroutine and not a thread.
	if err := unix.SetNonblock(fd, true); err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("pidfd of process %d: %w", pid, err)
	}
	return &process{pid: pid, f: os.NewFile(uintptr(fd), "pidfd")}, nil
}

// wait returns nil once the process has ended. One caller at a time.
func (p *process) wait(ctx context.Context) error {
	raw, err := p.f.SyscallConn()
	if err != nil {
		return err
	}
	if err := p.f.SetReadDeadline(time.Time{}); err != nil {
		return fmt.Errorf("wait for process %d: %w", p.pid, err)
	}
	stop := context.AfterFunc(ctx, func() { p.f.SetReadDeadline(time.Unix(1, 0)) })
	defer stop()
	err = raw.Read(func(fd uintptr) bool { return ended(fd) })
	if err != nil && ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

// dead reports whether the process has ended, reaped or not.
func (p *process) dead() bool {
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

// signal sends a signal to the process and to nothing else. A process that has ended is no error.
func (p *process) signal(sig syscall.Signal) error {
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

// reap collects the process if it is an ended child of ours.
func (p *process) reap() {
	raw, err := p.f.SyscallConn()
	if err != nil {
		return
	}
	raw.Control(func(fd uintptr) {
		unix.Waitid(unix.P_PIDFD, int(fd), nil, unix.WEXITED|unix.WNOHANG, nil)
	})
}

func (p *process) close() { p.f.Close() }
