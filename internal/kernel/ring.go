package kernel

import (
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
// files. It never fails and never waits for disk space: what cannot be written is
// dropped, because the process that writes to the pipe must not wait for its log.
type logRing struct {
	root *os.Root
	cap  int64
	f    *os.File // nil while no file can be opened
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
