// Package logfile writes the log of a process to two files of bounded size: the
// current one and the one before it.
package logfile

import (
	"os"
	"sync"
)

// DefaultSize is the usual maximum size of a file, in bytes.
const DefaultSize = 8 << 20

// Older is the path of the earlier file of a log at path.
func Older(path string) string { return path + ".1" }

// A File is a log that several processes may append to; each rotates it when it
// becomes too long, and notices when another one has. If stdout and stderr of this
// process write to the file, for instance a panic, they follow to the new one. It
// is safe for concurrent use.
type File struct {
	path    string
	maxSize int64

	mu sync.Mutex
	f  *os.File // guarded by mu
}

// Open opens the log at path, with at most maxSize bytes in each of its two files.
// Only the owner can read them.
func Open(path string, maxSize int64) (*File, error) {
	f, err := appendTo(path)
	if err != nil {
		return nil, err
	}
	return &File{path: path, maxSize: maxSize, f: f}, nil
}

// ForChild opens the log at path as the stdout and stderr of a process that is
// about to start. A log of more than most bytes is renamed to the older one first;
// what the process writes is not bounded.
func ForChild(path string, most int64) (*os.File, error) {
	if info, err := os.Stat(path); err == nil && info.Size() > most {
		if err := os.Rename(path, Older(path)); err != nil {
			return nil, err
		}
	}
	return appendTo(path)
}

func appendTo(path string) (*os.File, error) {
	return os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
}

// Write implements io.Writer. If the log cannot be rotated, it grows.
func (l *File) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	// The size is read each time: other processes write to the file, too.
	if info, err := l.f.Stat(); err == nil && info.Size() > 0 && info.Size()+int64(len(p)) > l.maxSize {
		l.rotate(info)
	}
	return l.f.Write(p)
}

// rotate replaces the file that info describes by a new one. The caller holds l.mu.
func (l *File) rotate(info os.FileInfo) {
	if named, err := os.Stat(l.path); err == nil && os.SameFile(named, info) { // else another process has rotated it
		if os.Rename(l.path, Older(l.path)) != nil {
			return
		}
	}
	next, err := appendTo(l.path)
	if err != nil {
		return
	}
	follow(info, next)
	l.f.Close()
	l.f = next
}

// Close closes the file.
func (l *File) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.f.Close()
}
