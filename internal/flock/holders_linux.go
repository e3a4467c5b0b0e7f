package flock

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

// Holders lists the processes that hold the lock at path. Processes that this one
// may not inspect are left out. A missing file has none.
func Holders(path string) ([]int, error) {
	st, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("find lock: %w", err)
	}
	d, err := os.Open("/proc")
	if err != nil {
		return nil, err
	}
	defer d.Close()
	names, err := d.Readdirnames(-1)
	if err != nil {
		return nil, err
	}
	var pids []int
	for _, name := range names {
		pid, err := strconv.Atoi(name)
		if err != nil {
			continue
		}
		held, err := heldBy(st, pid)
		if err != nil {
			return nil, err
		}
		if held {
			pids = append(pids, pid)
		}
	}
	return pids, nil
}

// HeldBy reports whether a process is one of the Holders.
func HeldBy(path string, pid int) (bool, error) {
	st, err := os.Lstat(path)
	if err != nil {
		return false, fmt.Errorf("find lock: %w", err)
	}
	return heldBy(st, pid)
}

// heldBy looks for the lock in a process's descriptors; Linux lists the locks of each, see proc(5).
func heldBy(lock fs.FileInfo, pid int) (bool, error) {
	dir := fmt.Sprintf("/proc/%d", pid)
	d, err := os.Open(filepath.Join(dir, "fd"))
	if err != nil {
		return false, unlessHidden(err)
	}
	defer d.Close()
	names, err := d.Readdirnames(-1)
	if err != nil {
		return false, unlessHidden(err)
	}
	for _, name := range names {
		st, err := os.Stat(filepath.Join(dir, "fd", name))
		if err != nil || !os.SameFile(st, lock) {
			continue
		}
		info, err := os.ReadFile(filepath.Join(dir, "fdinfo", name))
		if err != nil {
			if err := unlessHidden(err); err != nil {
				return false, err
			}
			continue
		}
		for line := range bytes.Lines(info) {
			if bytes.HasPrefix(line, []byte("lock:")) && bytes.Contains(line, []byte("OFDLCK")) && bytes.Contains(line, []byte("WRITE")) {
				return true, nil
			}
		}
	}
	return false, nil
}

// unlessHidden drops the errors for a process that is gone or may not be inspected.
func unlessHidden(err error) error {
	var no syscall.Errno
	if errors.As(err, &no) && (no == unix.ENOENT || no == unix.ESRCH || no == unix.EACCES || no == unix.EPERM) {
		return nil
	}
	return err
}
