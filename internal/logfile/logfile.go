// Package logfile keeps the log of a process in two files of a bounded size:
// the one that is written, and the one before it.
package logfile

import (
	"os"
	"sync"
)

// Most is how many bytes a file gets, unless another bound is asked for.
const Most = 8 << 20

// Older is the file that a log at path had before.
func Older(path string) string { return path + ".1" }

// A File is a log that several processes may append to; each turns it over
// when it has become too long, and finds out when another one has. What stdout
// and stderr of this process write to the file, a panic for instance, goes
// where the log goes. It is safe for concurrent use.
type File struct {
	path string
	most int64

	mu sync.Mutex
	f  *os.File // guarded by mu
}

// Open opens the log at path, which may get so many bytes. The file is for its
// owner alone.
func Open(path string, most int64) (*File, error) {
	f, err := appendTo(path)
	if err != nil {
		return nil, err
	}
	return &File{path: path, most: most, f: f}, nil
}

// ForChild opens the log at path as the stdout and stderr of a process that is
// about to start. One of more bytes than most becomes the older one first;
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

// Write implements io.Writer. Where the log cannot be turned over, it grows.
func (l *File) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	// The size is asked for: others write to the file, too.
	if info, err := l.f.Stat(); err == nil && info.Size() > 0 && info.Size()+int64(len(p)) > l.most {
		l.turnOver(info)
	}
	return l.f.Write(p)
}

// turnOver begins a new file in place of that which info is of. l.mu is held.
func (l *File) turnOver(info os.FileInfo) {
	if named, err := os.Stat(l.path); err == nil && os.SameFile(named, info) { // else somebody else was faster
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
