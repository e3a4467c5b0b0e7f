// Package flock takes whole-file write locks that belong to an open file
// description (OFD locks, fcntl(2)). Unlike flock(2) and classic POSIX locks
// they can be asked about without being taken, they exclude two openings
// inside one process, and a child that inherits the descriptor shares the lock.
package flock

import (
	"errors"
	"os"
)

// ErrHeld says that somebody else holds the lock.
var ErrHeld = errors.New("the lock is held by another process")

// A Lock is held until Release, or until the last copy of its descriptor is
// closed: the end of the process frees it, however that end comes.
type Lock struct{ f *os.File }

// File is the locked file, opened for reading and writing. A child that gets
// it (exec.Cmd.ExtraFiles) shares the lock; closing this File then leaves the
// lock with the child, whereas Release takes it from both.
func (l *Lock) File() *os.File { return l.f }
