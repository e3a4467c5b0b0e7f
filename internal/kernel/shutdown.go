package kernel

import (
	"context"
	"syscall"
	"time"

	"github.com/ergane-dev/ergane"
)

const (
	pingLimit = 500 * time.Millisecond
	termLimit = 2 * time.Second // between SIGTERM and SIGKILL
)

// Shutdown ends the kernel and returns when it and everything it started is
// gone: it interrupts the running calculation, orders the kernel to stop Spark and
// exit, and after the grace period sends SIGTERM, then SIGKILL. When ctx ends, the
// grace period ends, too. It takes grace and some seconds at most; further calls
// wait for the first.
func (k *Kernel) Shutdown(ctx context.Context, grace time.Duration) ergane.Exit {
	k.shutdown.Lock()
	defer k.shutdown.Unlock()
	polite, cancel := context.WithTimeout(ctx, grace)
	defer cancel()
	k.leave(polite)
	k.await(polite)
	if !k.gone() {
		k.proc.Signal(syscall.SIGTERM)
		limited, cancel := context.WithTimeout(ctx, min(termLimit, max(grace, time.Millisecond)))
		k.await(limited)
		cancel()
	}
	if !k.gone() {
		k.proc.Signal(syscall.SIGKILL)
		k.await(context.Background()) // as long as settle takes
	}
	return k.Exit()
}

// leave orders the kernel to end by itself.
func (k *Kernel) leave(ctx context.Context) {
	limited, cancel := context.WithTimeout(ctx, pingLimit)
	f, err := k.call(limited, order{Op: "ping"})
	cancel()
	if err == nil && validID(f.Current) == nil {
		// Half of the time is for the block, the other half for Spark.
		deadline, _ := ctx.Deadline()
		limited, cancel := context.WithTimeout(ctx, time.Until(deadline)/2)
		k.Interrupt(limited, f.Current)
		cancel()
	}
	k.call(ctx, order{Op: "shutdown"})
}

// await waits until everything is gone, or ctx or the Kernel ends.
func (k *Kernel) await(ctx context.Context) {
	select {
	case <-k.done:
	case <-ctx.Done():
	case <-k.ctx.Done():
	}
}
