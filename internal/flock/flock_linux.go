package flock

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"
)

// Acquire makes the file at path if it is missing (mode 0600) and locks it. It
// does not wait: it fails with ErrHeld if the lock is held. The caller may use the
// file's content; it is never truncated or removed here.
func Acquire(path string) (*Lock, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open lock: %w", err)
	}
	whole := unix.Flock_t{Type: unix.F_WRLCK, Whence: io.SeekStart}
	if err := control(f, unix.F_OFD_SETLK, &whole); err != nil {
		f.Close()
		if errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.EACCES) {
			return nil, fmt.Errorf("%s: %w", path, ErrHeld)
		}
		return nil, fmt.Errorf("lock %s: %w", path, err)
	}
	return &Lock{f}, nil
}

// Release releases the lock, also for processes that inherited it.
func (l *Lock) Release() error {
	// Unlocked explicitly before the close: a child between fork and exec still has
	// a copy of the descriptor and would hold the lock until its exec.
	whole := unix.Flock_t{Type: unix.F_UNLCK, Whence: io.SeekStart}
	return errors.Join(control(l.f, unix.F_OFD_SETLK, &whole), l.f.Close())
}

// Held reports whether any process, this one included, holds the lock at path. It
// does not take the lock. A missing file is not held.
func Held(path string) (bool, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("open lock: %w", err)
	}
	defer f.Close()
	whole := unix.Flock_t{Type: unix.F_WRLCK, Whence: io.SeekStart}
	if err := control(f, unix.F_OFD_GETLK, &whole); err != nil {
		return false, fmt.Errorf("query lock %s: %w", path, err)
	}
	return whole.Type != unix.F_UNLCK, nil
}

// MayBeHeld is Held for callers that must not take a living process for dead: a
// lock whose holder cannot be queried counts as held.
func MayBeHeld(path string) bool {
	held, err := Held(path)
	return held || err != nil
}

func control(f *os.File, cmd int, l *unix.Flock_t) error {
	raw, err := f.SyscallConn()
	if err != nil {
		return err
	}
	var locked error
	err = raw.Control(func(fd uintptr) { locked = unix.FcntlFlock(fd, cmd, l) })
	return errors.Join(err, locked)
}
