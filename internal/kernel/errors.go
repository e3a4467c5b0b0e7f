package kernel

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"syscall"

	"github.com/ergane-dev/ergane"
)

var (
	// ErrRebooted: the machine was restarted after the kernel had been started.
	ErrRebooted = errors.New("the machine was restarted")
	// ErrNotStarted: no kernel was ever started in the session's folder.
	ErrNotStarted = errors.New("the kernel was never started")
	// ErrLost: a kernel may live that can never be adopted, because its handle
	// is damaged or missing; Expel ends it. A handle that cannot be read at
	// present is another error, and can be tried again.
	ErrLost = errors.New("the kernel's handle is damaged or missing")
	// ErrDetached: Detach was called; the kernel may live on.
	ErrDetached = errors.New("the server has detached from the kernel")
	// ErrFenced: the kernel obeys another server now. Its files can still be read.
	ErrFenced = errors.New("another server has taken over the kernel")
)

// A versionError says that the kernel was started by a version of Ergane whose
// protocol this one does not speak.
type versionError struct{ what string }

func (e *versionError) Error() string {
	return "this version of Ergane cannot work with it and has ended it: " + e.what
}

// A GoneError says that the kernel's process, and everything it had started, is gone.
type GoneError struct {
	Exit ergane.Exit
	// Started says, of an error from Wait, that the kernel had begun to run the code.
	Started bool
}

func (e *GoneError) Error() string { return "the kernel " + e.Exit.String() }

// A SparkError says that Spark refused to start, for instance because of a property.
type SparkError struct {
	Name  string // class of the exception; empty if there was none because the driver died
	Value string // its message
}

func (e *SparkError) Error() string {
	if e.Name == "" {
		return e.Value
	}
	return e.Name + ": " + e.Value
}

// A DocumentError says that a file of the kernel is invalid.
type DocumentError struct {
	File  string
	Cause error
}

func (e *DocumentError) Error() string { return "unusable " + e.File + ": " + e.Cause.Error() }
func (e *DocumentError) Unwrap() error { return e.Cause }

// Unread reports whether a read failed for a reason that may pass: no
// descriptors or memory were left, or the disk did not answer. The file may be
// read later. Any other error of reading is final.
func Unread(err error) bool {
	for _, passing := range []error{
		syscall.EMFILE, syscall.ENFILE, syscall.ENOMEM, syscall.ENOBUFS, syscall.EIO, syscall.ENOSPC,
		syscall.EINTR, syscall.EAGAIN, syscall.ETIMEDOUT, syscall.ESTALE, os.ErrDeadlineExceeded,
	} {
		if errors.Is(err, passing) {
			return true
		}
	}
	return false
}

// lasting reports whether an error of looking for a kernel is permanent. A file
// that cannot be opened because descriptors, memory or the disk fail may be
// undamaged.
func lasting(err error) bool {
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return false
	}
	_, system := errors.AsType[syscall.Errno](err)
	return !system || errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) || errors.Is(err, syscall.ELOOP)
}
