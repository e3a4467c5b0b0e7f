package kernel

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/ergane-dev/ergane/internal/child"
	"github.com/ergane-dev/ergane/internal/flock"
)

// Adopt finds the kernel that an earlier server started in a session folder.
// It returns without waiting for an answer: a kernel that runs C code is slow
// and not dead. The errors are ErrNotStarted, ErrRebooted, a
// *GoneError once the kernel and everything it started is gone, for which it
// waits for the shim to clean up, and ErrLost. Any other error says that the
// kernel could not be looked for now, and nothing of whether it lives. log may be nil.
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

// lost wraps an error of reading a kernel's handle in ErrLost if it is permanent.
func lost(err error) error {
	if err != nil && lasting(err) {
		return fmt.Errorf("%w: %w", ErrLost, err)
	}
	return err
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
		return nil, errors.Join(err, killGroup(ctx, root)) // a shim may have made the group and no more
	}
	unknown, other := errors.AsType[*versionError](err)
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	if err != nil && !other {
		return nil, lost(err)
	}
	boot, err := child.BootID()
	if err != nil {
		return nil, err
	}
	if boot != h.BootID && (h.BootID != "" || !other) {
		return nil, ErrRebooted
	}
	if other {
		exit, err := expel(ctx, dir, root, h)
		if err != nil {
			return nil, err
		}
		exit.Detail = unknown.Error()
		return nil, &GoneError{Exit: exit}
	}
	shim, err := child.Open(h.shim())
	if err != nil && !errors.Is(err, child.ErrGone) {
		return nil, err
	}
	closeShim := func() {
		if shim != nil {
			shim.Close()
		}
	}
	proc, err := child.Open(h.kernel())
	if errors.Is(err, child.ErrGone) {
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
		err = lost(err)
	}
	if err != nil {
		proc.Close()
		closeShim()
		return nil, err
	}
	return attach(dir, h, root, spool, proc, shim, e, token, log), nil
}

// handleFor is how long the handle of a shim that has the session's lock may
// be missing: the shim writes it at once, unless the shim is stuck or the file was removed.
const handleFor = time.Minute

var errNoHandle = errors.New("a process holds the session's lock, and there is no " + handleFile)

// awaitHandle reads the handle. If it is missing but the session's lock is held,
// a shim is about to write it.
func awaitHandle(ctx context.Context, dir string, root *os.Root) (Handle, error) {
	begun := time.Now()
	for wait := 5 * time.Millisecond; ; wait = min(2*wait, 100*time.Millisecond) {
		held, err := flock.Held(filepath.Join(dir, lockFile)) // asked first: the handle is written under the lock
		if err != nil {
			return Handle{}, err
		}
		h, err := readDocument(root, handleFile, parseHandle)
		switch {
		case !errors.Is(err, fs.ErrNotExist):
			return h, err
		case !held:
			return Handle{}, ErrNotStarted
		case time.Since(begun) > handleFor:
			return Handle{}, errNoHandle
		}
		if pause(ctx, wait); ctx.Err() != nil {
			return Handle{}, context.Cause(ctx)
		}
	}
}
