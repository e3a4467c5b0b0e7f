// Package kernel runs the process that executes a session's code, and talks to it.
//
// A kernel outlives the server. Between the two stand files, a socket, and a
// third process: the shim, the kernel's parent, which records how the kernel ended
// and leaves nothing of it behind. User code can forge everything that a kernel
// writes, so it is believed only within its own session, and no operation on it
// can block, grow without bound, or reach another session.
//
// Start and Adopt give a Kernel; Detach closes it and lets the kernel live,
// Shutdown ends the kernel.
// A Spool reads the files, with or without a Kernel.
package kernel

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"github.com/ergane-dev/ergane"
	"github.com/ergane-dev/ergane/internal/child"
)

// A Kernel is a running kernel process. Its methods may be called from any goroutine.
type Kernel struct {
	dir    string
	handle Handle
	log    *slog.Logger
	root   *os.Root // of dir, the server's part of the session folder
	spool  *Spool
	proc   *child.Process // the kernel
	shim   *child.Process // nil if it was gone when the kernel was adopted
	link   *link
	oom    *oomWatch // of its control group, if it has one
	pulse  pulse     // beats at every event of the kernel

	ctx    context.Context // ends with Detach
	cancel context.CancelCauseFunc
	wg     sync.WaitGroup

	done       chan struct{} // closed when everything is gone; exit is set before
	exit       ergane.Exit
	driverDone chan struct{} // closed when the driver has died; driver is set before
	driver     ergane.Exit

	shutdown sync.Mutex // held by the caller that ends the kernel
	detach   sync.Once

	mu       sync.Mutex
	verdicts map[string]ergane.Outcome // that the kernel could not write to disk; guarded by mu
}

// attach makes a Kernel of the two processes. The Kernel then owns them, root and spool.
func attach(dir string, h Handle, root *os.Root, spool *Spool, proc, shim *child.Process, e *epochs, token string, log *slog.Logger) *Kernel {
	k := &Kernel{
		dir: dir, handle: h, log: log, root: root, spool: spool, proc: proc, shim: shim,
		done: make(chan struct{}), driverDone: make(chan struct{}), verdicts: map[string]ergane.Outcome{},
	}
	group, err := openGroup(root)
	if err != nil {
		log.Warn("cannot read the kernel's control group", "error", err)
	}
	k.oom = &oomWatch{group: group}
	k.ctx, k.cancel = context.WithCancelCause(context.Background())
	k.link = newLink(func(ctx context.Context) (net.Conn, error) {
		return dialKernel(ctx, spool.root, h.PID)
	}, token, e, k.event, log)
	k.wg.Go(func() {
		k.link.run(k.ctx)
		if err := k.link.unknown(); err != nil {
			log.Warn("the kernel speaks another version of the protocol; ending it", "error", err)
			k.Shutdown(k.ctx, 0)
		}
	})
	k.wg.Go(k.watch)
	k.wg.Go(k.watchDriver)
	return k
}

// event handles an event from the kernel.
func (k *Kernel) event(f frame) {
	if f.Ev == "done" {
		k.keepVerdict(f)
	}
	k.pulse.beat()
}

// watch waits for the kernel's death and for the shim to clean up after it.
func (k *Kernel) watch() {
	if err := k.proc.Wait(k.ctx); err != nil {
		if k.ctx.Err() == nil {
			k.log.Error("cannot watch the kernel", "error", err)
		}
		return
	}
	exit := settle(k.ctx, k.dir, k.root, k.handle, k.shim)
	if k.ctx.Err() != nil {
		return
	}
	k.link.stop(time.Second)
	if err := k.link.unknown(); err != nil {
		exit.Detail = err.Error()
	}
	k.exit = exit
	close(k.done)
	k.pulse.beat()
}

// sparkOutOfMemory is the status with which Spark ends a JVM in which a task
// met an OutOfMemoryError (org.apache.spark.util.SparkExitCode.OOM).
const sparkOutOfMemory = 52

// watchDriver waits until the kernel records that the Spark driver has died.
func (k *Kernel) watchDriver() {
	for {
		woken := k.pulse.next()
		exit, err := readDocument(k.spool.root, "driver.json", parseExit)
		if err == nil {
			exit.Detail = "" // user code can forge it
			switch {
			case exit.Signal == int(syscall.SIGKILL):
				exit.Detail = k.oom.lately()
			case exit.Code == sparkOutOfMemory:
				exit.Detail = "Java ran out of memory, see spark.driver.memory"
			}
			k.driver = exit
			close(k.driverDone)
			return
		}
		k.oom.sample()
		select {
		case <-k.done:
			return
		default:
		}
		if pause(k.ctx, rereadEvery, woken); k.ctx.Err() != nil {
			return
		}
	}
}

// Spool is the kernel's spool. It is closed by Detach.
func (k *Kernel) Spool() *Spool { return k.spool }

// Done is closed when the kernel and everything it started is gone.
func (k *Kernel) Done() <-chan struct{} { return k.done }

// Exit is how the kernel ended; only meaningful once Done is closed.
func (k *Kernel) Exit() ergane.Exit {
	select {
	case <-k.done:
		return k.exit
	default:
		return ergane.Exit{}
	}
}

// DriverDied is closed when the Spark driver has died while the kernel lives.
func (k *Kernel) DriverDied() <-chan struct{} { return k.driverDone }

// DriverExit is how the Spark driver ended; only meaningful once DriverDied is closed.
func (k *Kernel) DriverExit() ergane.Exit {
	select {
	case <-k.driverDone:
		return k.driver
	default:
		return ergane.Exit{}
	}
}

// Killed counts the kernel's processes, itself included, that the out-of-memory
// killer has killed, and says which memory was exhausted. It knows only of
// processes in a control group.
func (k *Kernel) Killed() (n int64, why string) { return k.oom.total() }

// Detach closes the Kernel without ending the kernel: calls that wait return
// ErrDetached, and all that the Kernel holds is freed. It has to be called after
// the kernel's death, too. Further calls do nothing.
func (k *Kernel) Detach() {
	k.detach.Do(func() {
		k.cancel(ErrDetached)
		k.wg.Wait()
		k.proc.Close()
		if k.shim != nil {
			k.shim.Close()
		}
		k.spool.Close()
		k.root.Close()
	})
}

// during returns a context that ends with ctx and with Detach; its cause says which.
func (k *Kernel) during(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(ctx)
	stop := context.AfterFunc(k.ctx, func() { cancel(context.Cause(k.ctx)) })
	return ctx, func() { stop(); cancel(nil) }
}

// call sends an order and waits for the answer until ctx ends.
func (k *Kernel) call(ctx context.Context, o order) (frame, error) {
	ctx, cancel := k.during(ctx)
	defer cancel()
	f, err := k.link.call(ctx, o)
	switch {
	case err == nil || ctx.Err() != nil || errors.Is(err, ErrFenced):
		return f, err
	case k.ctx.Err() != nil:
		return frame{}, context.Cause(k.ctx)
	}
	// The link has ended because the kernel has.
	select {
	case <-k.done:
		return frame{}, &GoneError{Exit: k.exit}
	case <-ctx.Done():
		return frame{}, context.Cause(ctx)
	}
}

func openFolder(dir string) (*os.Root, *Spool, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, nil, fmt.Errorf("open session folder: %w", err)
	}
	spool, err := OpenSpool(dir)
	if err != nil {
		root.Close()
		return nil, nil, err
	}
	return root, spool, nil
}

func sessionOf(dir string) string { return filepath.Base(dir) }
