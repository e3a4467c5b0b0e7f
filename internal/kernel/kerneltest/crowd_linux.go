package kerneltest

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/ergane-dev/ergane/internal/child"
	"github.com/ergane-dev/ergane/internal/kernel"
)

// Play makes this process the kernel of a session folder, beside all others
// that it plays already, and the shim of each. A server that adopts it sees
// the files and the protocol of a kernel with a process of its own. All of them
// end together, so none of them may be ordered to leave. greeted is called at
// every hello of a server; it may be nil and must not block.
func Play(dir, token string, greeted func()) error {
	work := filepath.Join(dir, "work")
	if err := os.MkdirAll(filepath.Join(work, "calc"), 0o700); err != nil {
		return err
	}
	var out [2]int
	for i, name := range []string{"stdout", "stderr"} {
		fd, err := unix.Open(filepath.Join(work, name), unix.O_WRONLY|unix.O_CREAT|unix.O_APPEND|unix.O_CLOEXEC, 0o600)
		if err != nil {
			return fmt.Errorf("open %s: %w", name, err)
		}
		out[i] = fd
	}
	s := newStandin(work, token, out[0], out[1])
	s.greeted = greeted
	if err := s.listen(); err != nil {
		return err
	}
	s.takeSignals()
	go s.work()
	h, err := handle()
	if err != nil {
		return err
	}
	b, err := json.Marshal(h)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, "handle.json"), b, 0o600)
}

// handle names this process as kernel and shim.
func handle() (kernel.Handle, error) {
	self, err := child.IdentityOf(os.Getpid())
	return kernel.Handle{
		V: 1, PID: self.PID, Start: self.Start, ShimPID: self.PID, ShimStart: self.Start, BootID: self.BootID,
	}, err
}
