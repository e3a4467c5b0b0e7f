package tree

import (
	"strconv"

	"golang.org/x/sys/unix"
)

// batchSize is how many bytes of a folder's entries are read at once; the
// longest entry takes 280.
const batchSize = 8 << 10

// openFolder opens a folder to read and change it. Missing permissions of the
// owner are added.
func openFolder(at int, name string) (int, error) {
	fd, err := openAt(at, name, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW)
	if err == unix.EACCES {
		fd, err = openClosed(at, name)
	}
	if err != nil {
		return -1, err
	}
	var st unix.Stat_t
	if unix.Fstat(fd, &st) == nil && st.Mode&0o700 != 0o700 {
		_ = unix.Fchmod(fd, 0o700) // without it later calls fail
	}
	return fd, nil
}

// openClosed opens a folder that not even its owner may read.
func openClosed(at int, name string) (int, error) {
	found, err := openAt(at, name, unix.O_PATH|unix.O_DIRECTORY|unix.O_NOFOLLOW)
	if err != nil {
		return -1, err
	}
	defer unix.Close(found)
	// fchmod does not work on an O_PATH descriptor; its name in /proc leads to the same folder.
	if err := unix.Chmod("/proc/self/fd/"+strconv.Itoa(found), 0o700); err != nil {
		return -1, err
	}
	return openAt(found, ".", unix.O_RDONLY|unix.O_DIRECTORY)
}

func openAt(at int, name string, flags int) (fd int, err error) {
	err = again(func() error {
		fd, err = unix.Openat(at, name, flags|unix.O_CLOEXEC, 0)
		return err
	})
	return fd, err
}

func unlink(at int, name string, flags int) error {
	return again(func() error { return unix.Unlinkat(at, name, flags) })
}

func rename(from int, name string, to int, as string) error {
	return again(func() error { return unix.Renameat(from, name, to, as) })
}

// readEntries reads the next entries of a folder; 0 bytes are its end.
func readEntries(fd int, batch []byte) (n int, err error) {
	err = again(func() error {
		n, err = unix.Getdents(fd, batch)
		return err
	})
	return max(n, 0), err
}

// again repeats a call that a signal interrupted, as can happen on some file systems.
func again(f func() error) error {
	for {
		if err := f(); err != unix.EINTR {
			return err
		}
	}
}
