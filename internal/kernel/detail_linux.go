package kernel

import (
	"bytes"
	"os"
	"strings"
	"syscall"
	"unicode"
)

// detail says what else is known about the kernel's end; empty after a normal end.
func (s *shim) detail(status syscall.WaitStatus) string {
	if why := s.why.Load(); why != nil {
		return *why
	}
	var parts []string
	if status.Signaled() && status.Signal() == syscall.SIGKILL {
		if why := s.oom.lately(); why != "" {
			parts = append(parts, why)
		}
	}
	if status.Signaled() || status.ExitStatus() != 0 {
		if words := s.finalOutput(); words != "" {
			parts = append(parts, words)
		}
	}
	return strings.Join(parts, ": ")
}

// finalOutput is the last output of the kernel outside of the spool: what it wrote before its output went there.
func (s *shim) finalOutput() string {
	f, size, err := openRegular(s.root, spawnLog, os.O_RDONLY)
	if err != nil {
		return ""
	}
	defer f.Close()
	b := make([]byte, maxDetail)
	n, _ := f.ReadAt(b, max(0, size-maxDetail))
	b = b[:n]
	if size > maxDetail { // half a line says little
		if _, rest, ok := bytes.Cut(b, []byte("\n")); ok {
			b = rest
		}
	}
	text := strings.Map(func(r rune) rune {
		if r == '\n' || unicode.IsPrint(r) {
			return r
		}
		return -1
	}, strings.ToValidUTF8(string(b), ""))
	return strings.TrimSpace(text)
}

// maxSpawnLog is more than an honest kernel writes there, whose output is in the spool.
const maxSpawnLog = 64 << 10

// cutSpawnLog keeps the log small; processes that have it open append to the rest.
func (s *shim) cutSpawnLog() {
	f, size, err := openRegular(s.root, spawnLog, os.O_WRONLY)
	if err != nil {
		return
	}
	defer f.Close()
	if size > maxSpawnLog {
		f.Truncate(maxSpawnLog)
	}
}
