package kernel

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"syscall"
	"time"
)

const (
	orderLimit  = time.Second            // for the answer to an interrupt order
	signalEvery = 100 * time.Millisecond // while the marker exists
	// strikeAgain is how long code that has taken an interrupt may go on, to
	// clean up, before it gets another one.
	strikeAgain = 8 * time.Second
)

// Interrupt stops a calculation and returns nil once its outcome is there,
// whatever it is. Until ctx ends it orders the kernel to cancel what the
// calculation has Spark and child processes do, and signals the kernel while
// the calculation has not taken the interrupt (its marker exists). Code that has
// taken it and goes on gets the next one after strikeAgain, or at once by another
// call. A calculation that has not started yet is stopped at its start.
func (k *Kernel) Interrupt(ctx context.Context, id string) error {
	if err := validID(id); err != nil {
		return err
	}
	ctx, cancel := k.during(ctx)
	defer cancel()
	marker := calcFile(id, "interrupt")
	ordered := false
	var marked time.Time
	for {
		woken := k.pulse.next()
		if _, ok, _ := k.spool.Outcome(id); ok {
			k.spool.root.Remove(marker) // came too late to be taken
			return nil
		}
		if k.gone() {
			return &GoneError{Exit: k.exit}
		}
		if !ordered {
			ordered = k.orderInterrupt(ctx, id)
		}
		if marked.IsZero() || time.Since(marked) > strikeAgain {
			if err := k.mark(marker); err != nil {
				return fmt.Errorf("interrupt: %w", err)
			}
			marked = time.Now()
		}
		if _, err := k.spool.root.Lstat(marker); err == nil {
			k.proc.signal(syscall.SIGINT)
		}
		if pause(ctx, signalEvery, woken, k.done); ctx.Err() != nil {
			return context.Cause(ctx)
		}
	}
}

// orderInterrupt reports whether the kernel has begun to cancel what the calculation started.
func (k *Kernel) orderInterrupt(ctx context.Context, id string) bool {
	limited, cancel := context.WithTimeout(ctx, orderLimit)
	defer cancel()
	f, err := k.call(limited, map[string]any{"op": "interrupt", "id": id})
	return err == nil && f.OK
}

func (k *Kernel) mark(marker string) error {
	if err := k.spool.makeFolder(path.Dir(marker)); err != nil {
		return err
	}
	f, err := k.spool.root.OpenFile(marker, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return f.Close()
}
