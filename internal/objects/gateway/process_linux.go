package gateway

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// process is what /proc says of one.
type process struct {
	state byte   // 'Z' is a zombie
	start uint64 // clock ticks after boot; with the pid it names a process for good
}

func readProcess(pid int) (process, error) {
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return process{}, err
	}
	// The second field is the name in parentheses and may hold anything.
	fields := strings.Fields(string(raw[bytes.LastIndexByte(raw, ')')+1:]))
	if len(fields) < 20 {
		return process{}, fmt.Errorf("read /proc/%d/stat: %d fields", pid, len(fields))
	}
	start, err := strconv.ParseUint(fields[19], 10, 64)
	if err != nil {
		return process{}, fmt.Errorf("read /proc/%d/stat: %w", pid, err)
	}
	return process{state: fields[0][0], start: start}, nil
}

// bootID is the kernel's; it does not change when only a container restarts.
func bootID() (string, error) {
	raw, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	return strings.TrimSpace(string(raw)), err
}

// pidfd holds on to one process, whatever becomes of its number.
type pidfd struct{ f *os.File }

// openPidfd takes hold of the process with that pid and start time. ok is
// false where it is gone or a zombie.
func openPidfd(pid int, start uint64) (p *pidfd, ok bool, err error) {
	fd, err := unix.PidfdOpen(pid, unix.PIDFD_NONBLOCK)
	if errors.Is(err, unix.ESRCH) || errors.Is(err, unix.EINVAL) {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, fmt.Errorf("pidfd_open %d: %w", pid, err)
	}
	// Non-blocking, so the runtime's poller waits for it and no thread does.
	p = &pidfd{os.NewFile(uintptr(fd), "pidfd")}
	// Looked at after the open: from here on the number cannot be reused.
	is, err := readProcess(pid)
	if err != nil || is.start != start || is.state == 'Z' {
		p.f.Close()
		return nil, false, nil
	}
	return p, true, nil
}

// wait returns nil when the process has ended, or an error after unblock or close.
func (p *pidfd) wait() error {
	raw, err := p.f.SyscallConn()
	if err != nil {
		return err
	}
	return raw.Read(func(fd uintptr) bool {
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, 0)
		return err == nil && n > 0
	})
}

// unblock ends every wait, present and future.
func (p *pidfd) unblock() { _ = p.f.SetReadDeadline(time.Unix(1, 0)) }

func (p *pidfd) signal(s syscall.Signal) error {
	raw, err := p.f.SyscallConn()
	if err != nil {
		return err
	}
	var sent error
	err = raw.Control(func(fd uintptr) { sent = unix.PidfdSendSignal(int(fd), s, nil, 0) })
	return errors.Join(err, sent)
}

func (p *pidfd) close() { p.f.Close() }
