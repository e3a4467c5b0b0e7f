// Package flock has file locks whose holder can be queried: write locks on whole
// files that belong to an open file description (OFD locks, fcntl(2)). Unlike
// flock(2) and classic POSIX locks they can be queried without being taken, they
// exclude two openings in one process, and a child that inherits the descriptor
// shares the lock.
package flock

import (
	"errors"
	"os"
)

// ErrHeld says that another process, or another opening in this one, holds the lock.
var ErrHeld = errors.New("the lock is held by another process")

// A Lock is held until Release, or until the last copy of its descriptor is
// closed: so also the end of the process releases it, however it ends.
type Lock struct{ f *os.File }

// File is the locked file, opened for reading and writing. A child that gets
// it (exec.Cmd.ExtraFiles) shares the lock; closing this File then leaves the
// lock with the child, whereas Release takes it from both.
func (l *Lock) File() *os.File { return l.f }
