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

// Expel ends the kernel of a session folder, and all that it started, without
// adopting it: nothing needs to be written for that, and what is damaged is not
// needed. It looks for what the handle names, for whoever has the session's
// lock, for the control group, and for processes that carry the session's name.
// When it returns nil, nothing is left. log may be nil.
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
		h = Handle{} // its numbers are others' by now
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
		log.Warn("nothing is known of the kernel's control group", "error", err)
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
	if held, err := flock.HeldBy(lock, pid); !held || err != nil { // asked again, as the number is pinned now
		shim.Close()
		return err
	}
	shim.Signal(syscall.SIGCONT)
	stopShim(shim)
	return nil
}

// expel ends a kernel that cannot be talked to, and all that it started.
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
		shim.Signal(syscall.SIGCONT) // one that was stopped has work to do
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
