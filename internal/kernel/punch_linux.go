package kernel

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"

	"github.com/ergane-dev/ergane"
)

// punchHole frees the blocks of a range of f without moving what follows.
func punchHole(f *os.File, r ergane.Range) error {
	raw, err := f.SyscallConn()
	if err != nil {
		return err
	}
	var punched error
	err = raw.Control(func(fd uintptr) {
		punched = unix.Fallocate(int(fd), unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_KEEP_SIZE, r.Start, r.Len())
	})
	return errors.Join(err, punched)
}

// preallocate reserves n bytes of disk, so that a full disk cannot refuse them later.
func preallocate(f *os.File, n int64) error {
	raw, err := f.SyscallConn()
	if err != nil {
		return err
	}
	var allocated error
	err = raw.Control(func(fd uintptr) { allocated = unix.Fallocate(int(fd), 0, 0, n) })
	return errors.Join(err, allocated)
}
