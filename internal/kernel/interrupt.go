package kernel

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path"
	"syscall"
	"time"
)

const (
	orderLimit  = time.Second            // for the answer to an interrupt order
	signalEvery = 100 * time.Millisecond // while the marker exists
	// interruptAgain is how long code that has taken an interrupt may clean up
	// before it gets another one.
	interruptAgain = 8 * time.Second
)

// Interrupt stops a calculation and returns nil once its outcome is there,
// whatever it is. Until ctx ends it orders the kernel to cancel the Spark jobs
// and to interrupt the child processes of the calculation, and signals the kernel
// while the code has not taken the interrupt (its marker exists). Code that has
// taken it and goes on gets the next one after interruptAgain, or at once by
// another call. A calculation that has not started yet is stopped at its start. If
// the marker cannot be made, on a full disk, the order itself says so (Strike).
func (k *Kernel) Interrupt(ctx context.Context, id string) error {
	if err := validID(id); err != nil {
		return err
	}
	ctx, cancel := k.during(ctx)
	defer cancel()
	marker := calcFile(id, "interrupt")
	ordered, bySocket := false, false // bySocket: ordered with Strike, and not taken as far as we know
	var marked time.Time
	for complained := false; ; {
		woken := k.pulse.next()
		if _, ok, _ := k.spool.Outcome(id); ok {
			k.spool.root.Remove(marker) // came too late to be taken
			return nil
		}
		if k.gone() {
			return &GoneError{Exit: k.exit}
		}
		if !ordered {
			f, err := k.orderInterrupt(ctx, id, false)
			ordered = err == nil && f.OK
		}
		if marked.IsZero() || time.Since(marked) > interruptAgain {
			err := k.mark(marker)
			if err != nil && !complained {
				k.log.Warn("cannot write the marker of an interrupt; ordering it by the socket", "calculation", id, "error", err)
				complained = true
			}
			if err != nil {
				f, err := k.orderInterrupt(ctx, id, true)
				bySocket = err == nil && f.Pending
			}
			if err == nil || bySocket {
				marked = time.Now()
			}
		}
		if _, err := k.spool.root.Lstat(marker); err == nil || bySocket {
			k.proc.Signal(syscall.SIGINT)
		}
		if bySocket {
			f, err := k.orderInterrupt(ctx, id, false)
			bySocket = err != nil || f.Pending // without an answer it may not have been taken
		}
		if pause(ctx, signalEvery, woken, k.done); ctx.Err() != nil {
			return context.Cause(ctx)
		}
	}
}

// orderInterrupt orders the kernel to cancel what the calculation started. The
// answer is OK once that has begun. strike says that the next signal is for the
// code, as the marker does; in the answer, Pending says that the code has not
// taken it yet.
func (k *Kernel) orderInterrupt(ctx context.Context, id string, strike bool) (frame, error) {
	limited, cancel := context.WithTimeout(ctx, orderLimit)
	defer cancel()
	return k.call(limited, order{Op: "interrupt", ID: id, Strike: strike})
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
