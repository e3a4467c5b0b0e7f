package kernel

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/ergane-dev/ergane"
	"github.com/ergane-dev/ergane/internal/flock"
)

// Adopt finds the kernel that an earlier server started in a session folder.
// It returns without waiting for an answer: a kernel that is deep in C code
// is slow and not dead. The errors are ErrNotStarted, ErrRebooted, and a
// *GoneError once the kernel and everything it started is gone; for the
// last it waits for the shim to clean up. log may be nil.
func Adopt(ctx context.Context, dir, token string, log *slog.Logger) (*Kernel, error) {
	k, err := adopt(ctx, dir, token, log)
	if err != nil {
		return nil, fmt.Errorf("adopt kernel: %w", err)
	}
	return k, nil
}

func adopt(ctx context.Context, dir, token string, log *slog.Logger) (*Kernel, error) {
	dir, err := resolve(dir)
	if err != nil {
		return nil, err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	k, err := find(ctx, dir, root, token, logger(log, dir))
	if err != nil {
		root.Close()
		return nil, err
	}
	return k, nil
}

func resolve(dir string) (string, error) {
	dir, err := filepath.Abs(dir)
	if err == nil {
		dir, err = filepath.EvalSymlinks(dir)
	}
	if errors.Is(err, fs.ErrNotExist) {
		return "", ErrNotStarted
	}
	return dir, err
}

func find(ctx context.Context, dir string, root *os.Root, token string, log *slog.Logger) (*Kernel, error) {
	h, err := awaitHandle(ctx, dir, root)
	if errors.Is(err, ErrNotStarted) {
		return nil, errors.Join(err, killGroup(root)) // a shim may have come that far
	}
	unknown, other := errors.AsType[*versionError](err)
	if err != nil && !other {
		return nil, err
	}
	if boot, err := bootID(); err == nil && boot != h.BootID && (h.BootID != "" || !other) {
		return nil, ErrRebooted
	}
	if other {
		exit := expel(ctx, dir, root, h)
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		exit.Detail = unknown.Error()
		return nil, &GoneError{Exit: exit}
	}
	shim, err := openProcess(h.ShimPID, h.ShimStart)
	if err != nil && !errors.Is(err, errNoProcess) {
		return nil, err
	}
	closeShim := func() {
		if shim != nil {
			shim.close()
		}
	}
	proc, err := openProcess(h.PID, h.Start)
	if errors.Is(err, errNoProcess) {
		defer closeShim()
		exit := settle(ctx, dir, root, h, shim)
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		return nil, &GoneError{Exit: exit}
	}
	if err != nil {
		closeShim()
		return nil, err
	}
	e, err := takeEpochs(root)
	var spool *Spool
	if err == nil {
		spool, err = OpenSpool(dir)
	}
	if err != nil {
		proc.close()
		closeShim()
		return nil, err
	}
	return attach(dir, h, root, spool, proc, shim, e, token, log), nil
}

// expel ends a kernel that cannot be talked to, and all that it started.
func expel(ctx context.Context, dir string, root *os.Root, h Handle) ergane.Exit {
	open := func(pid int, start uint64) *process {
		if pid <= 1 {
			return nil
		}
		p, err := openProcess(pid, start)
		if err != nil {
			return nil
		}
		return p
	}
	shim := open(h.ShimPID, h.ShimStart)
	if shim != nil {
		defer shim.close()
	}
	if proc := open(h.PID, h.Start); proc != nil {
		defer proc.close()
		proc.signal(syscall.SIGKILL)
	}
	return settle(ctx, dir, root, h, shim)
}

// awaitHandle reads the handle. Where there is none yet but the session's
// lock is held, a shim is about to write it.
func awaitHandle(ctx context.Context, dir string, root *os.Root) (Handle, error) {
	for {
		held, err := flock.Held(filepath.Join(dir, lockFile)) // asked first: the handle is written under the lock
		if err != nil {
			return Handle{}, err
		}
		h, err := readDocument(root, handleFile, parseHandle)
		if !errors.Is(err, fs.ErrNotExist) {
			return h, err
		}
		if !held {
			return Handle{}, ErrNotStarted
		}
		if pause(ctx, 5*time.Millisecond); ctx.Err() != nil {
			return Handle{}, context.Cause(ctx)
		}
	}
}
