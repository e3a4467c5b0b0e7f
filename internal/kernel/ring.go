package kernel

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

const (
	logFile    = "session.log"
	oldLogFile = "session.log.1"
	// logCap is how long a log file gets, in bytes, before it replaces the older one.
	logCap = 8 << 20
)

// Logs are the files of a session's log, the older part first. Either may be missing.
func Logs(dir string) []string {
	return []string{filepath.Join(dir, oldLogFile), filepath.Join(dir, logFile)}
}

// A logRing keeps the last logCap to 2*logCap bytes written to it in two
// files. It never fails and never waits for room: what cannot be written is dropped,
// because the process behind the pipe must not stand still for its log.
type logRing struct {
	root *os.Root
	cap  int64
	f    *os.File // nil while no file can be had
	size int64
}

func openLogRing(root *os.Root, limit int64) (*logRing, error) {
	r := &logRing{root: root, cap: limit}
	return r, r.open()
}

func (r *logRing) open() error {
	f, err := r.root.OpenFile(logFile, os.O_WRONLY|os.O_CREATE|os.O_APPEND|syscall.O_NOFOLLOW, 0o600)
	if err != nil {
		return err
	}
	st, err := f.Stat()
	if err != nil {
		f.Close()
		return err
	}
	r.f, r.size = f, st.Size()
	return nil
}

func (r *logRing) Write(p []byte) (int, error) {
	if r.f != nil && r.size > 0 && r.size+int64(len(p)) > r.cap {
		r.f.Close()
		r.f = nil
		if err := r.root.Rename(logFile, oldLogFile); err != nil {
			r.root.Remove(logFile)
		}
	}
	if r.f == nil && r.open() != nil {
		return len(p), nil
	}
	n, _ := r.f.Write(p)
	r.size += int64(n)
	return len(p), nil
}

// A Log reads the log of a session's driver (Spark, log4j, what Python UDFs
// print), oldest line first. After io.EOF, Read can be called again for what
// has come since. Where the log turns over faster than it is read, parts are lost.
type Log struct {
	root *os.Root
	f    *os.File
}

// OpenLog opens the log of a session folder; fs.ErrNotExist where no kernel was ever started in it.
func OpenLog(dir string) (*Log, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	f, _, err := openRegular(root, oldLogFile, os.O_RDONLY)
	if errors.Is(err, fs.ErrNotExist) {
		f, _, err = openRegular(root, logFile, os.O_RDONLY)
	}
	if err != nil {
		root.Close()
		return nil, err
	}
	return &Log{root, f}, nil
}

func (l *Log) Read(p []byte) (int, error) {
	for {
		n, err := l.f.Read(p)
		if n > 0 || !errors.Is(err, io.EOF) {
			return n, err
		}
		next, _, err := openRegular(l.root, logFile, os.O_RDONLY)
		if err != nil {
			return 0, io.EOF // just being turned over
		}
		if same(l.f, next) {
			next.Close()
			return 0, io.EOF
		}
		// l.f is not written to any more: what came between the read above and the turn-over is its end.
		if n, err := l.f.Read(p); n > 0 || !errors.Is(err, io.EOF) {
			next.Close()
			return n, err
		}
		l.f.Close()
		l.f = next
	}
}

// Close closes the log's files.
func (l *Log) Close() error { return errors.Join(l.f.Close(), l.root.Close()) }

func same(a, b *os.File) bool {
	as, aerr := a.Stat()
	bs, berr := b.Stat()
	return aerr == nil && berr == nil && os.SameFile(as, bs)
}
