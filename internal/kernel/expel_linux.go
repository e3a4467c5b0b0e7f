package kernel

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"syscall"

	"github.com/ergane-dev/ergane"
	"github.com/ergane-dev/ergane/internal/child"
	"github.com/ergane-dev/ergane/internal/flock"
)

// Expel ends the kernel of a session folder, and everything it started, without
// adopting it: it writes nothing, and works with a damaged handle. It ends the
// processes that the handle names, the holder of the session's lock, the control
// group, and processes with the session's id in their environment. When it
// returns nil, nothing is left. log may be nil.
func Expel(ctx context.Context, dir string, log *slog.Logger) error {
	dir, err := resolve(dir)
	if errors.Is(err, ErrNotStarted) {
		return nil
	}
	if err == nil {
		err = expelAll(ctx, dir, logger(log, dir))
	}
	if err != nil {
		return fmt.Errorf("expel kernel: %w", err)
	}
	return nil
}

func expelAll(ctx context.Context, dir string, log *slog.Logger) error {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	h, err := readDocument(root, handleFile, parseHandle)
	if err != nil {
		log.Warn("ending a kernel whose handle cannot be read", "error", err)
	}
	if _, other := errors.AsType[*versionError](err); err != nil && !other {
		h = Handle{}
	}
	boot, err := child.BootID()
	if err != nil {
		return err
	}
	if h.BootID != boot && h.BootID != "" {
		h = Handle{} // other processes may have its pids now
	}
	if h.ShimPID > 1 {
		if _, err := expel(ctx, dir, root, h); err != nil {
			return err
		}
	}
	lock := filepath.Join(dir, lockFile)
	holders, err := flock.Holders(lock)
	if err != nil {
		return err
	}
	for _, pid := range holders {
		if err := expelHolder(lock, pid); err != nil {
			return err
		}
	}
	switch err := killGroup(ctx, root); {
	case err == nil:
	case lasting(err):
		log.Warn("cannot read the kernel's control group", "error", err)
	default:
		return err
	}
	if left := killStragglers(ctx, root, h, dir); left > 0 {
		return fmt.Errorf("%d processes could not be ended", left)
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if held, err := flock.Held(lock); held || err != nil {
		return errors.Join(err, errors.New("the session's lock is still held"))
	}
	return nil
}

// expelHolder ends a shim that was found by its session's lock; its kernel dies with it.
func expelHolder(lock string, pid int) error {
	if pid == os.Getpid() {
		return errors.New("this process holds the session's lock itself")
	}
	shim, err := child.OpenPID(pid)
	if errors.Is(err, child.ErrGone) {
		return nil
	}
	if err != nil {
		return err
	}
	if held, err := flock.HeldBy(lock, pid); !held || err != nil { // checked again, now that the pid cannot be reused
		shim.Close()
		return err
	}
	shim.Signal(syscall.SIGCONT)
	stopShim(shim)
	return nil
}

// expel ends a kernel that cannot be adopted, and everything it started.
func expel(ctx context.Context, dir string, root *os.Root, h Handle) (ergane.Exit, error) {
	open := func(id child.Identity) (*child.Process, error) {
		if id.PID <= 1 {
			return nil, nil
		}
		p, err := child.Open(id)
		if errors.Is(err, child.ErrGone) {
			return nil, nil
		}
		return p, err
	}
	shim, err := open(h.shim())
	if err != nil {
		return ergane.Exit{}, err
	}
	if shim != nil {
		defer shim.Close()
		shim.Signal(syscall.SIGCONT) // a shim that was stopped has to clean up
	}
	proc, err := open(h.kernel())
	if err != nil {
		return ergane.Exit{}, err
	}
	if proc != nil {
		defer proc.Close()
		proc.Signal(syscall.SIGKILL)
	}
	exit := settle(ctx, dir, root, h, shim)
	if ctx.Err() != nil {
		return exit, context.Cause(ctx)
	}
	return exit, nil
}
