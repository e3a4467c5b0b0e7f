package session

import (
	"context"
	"errors"
	"io"
	"time"

	"github.com/ergane-dev/ergane"
	"github.com/ergane-dev/ergane/internal/delivery"
)

// A Store is what a Manager needs of a database: an ergane.Store without its
// end, which is up to whoever opened it.
type Store interface {
	ergane.WorkGroups
	ergane.Sessions
	ergane.Calculations
	ergane.PendingDeliveries
	ergane.Executors
	ergane.Servers
	// Reclaim is that of ergane.Store.
	Reclaim(ctx context.Context) (more bool, err error)
}

// A Kernel is the process that runs one session's code.
type Kernel interface {
	// Ready waits until the kernel takes calculations. A failed start is an
	// error whose text tells a user why.
	Ready(ctx context.Context) error
	// Claim makes a kernel that was started ahead that of a session, and waits
	// for it; of another one it does nothing. Repeating it is harmless. An
	// error whose text tells a user why is that of a session that cannot start.
	Claim(ctx context.Context, s ergane.Session) error
	// Exec hands over the code of a calculation. Repeating it is harmless.
	Exec(ctx context.Context, id, code string) error
	// Wait returns the calculation's outcome. When the kernel died without
	// one, the error is not nil and Done is closed.
	Wait(ctx context.Context, id string) (ergane.Outcome, error)
	// Has reports whether the kernel has taken the calculation already.
	Has(id string) bool
	// Age is how long ago a calculation was submitted, which was at the time
	// given by the machine's clock, also after that was set.
	Age(id string, submitted time.Time) time.Duration
	// Interrupt stops the calculation as far as it can be stopped; it goes on
	// trying until the outcome is there or ctx ends. Calling it again interrupts
	// at once what has taken an interrupt and gone on.
	Interrupt(ctx context.Context, id string) error
	Executors(ctx context.Context) ([]ergane.SparkExecutor, error)
	// Progress counts the finished and all known tasks of a calculation.
	Progress(ctx context.Context, id string) (done, total int, err error)
	// Shutdown ends the kernel and everything it started, politely for as
	// long as grace, and returns when nothing is left.
	Shutdown(ctx context.Context, grace time.Duration) ergane.Exit
	// Done is closed when the kernel's process has ended; Exit says how.
	Done() <-chan struct{}
	Exit() ergane.Exit
	// DriverDied is closed when the Spark driver's process has ended while the kernel lives.
	DriverDied() <-chan struct{}
	// DriverExit is how the Spark driver ended, once DriverDied is closed.
	DriverExit() ergane.Exit
	// Killed counts the session's processes that Linux killed for want of
	// memory, where it knows of them, and says of which memory.
	Killed() (n int64, why string)
	// Detach lets go of the kernel, which lives on.
	Detach()
}

// A Host is the machine that sessions run on.
type Host interface {
	Engines
	Kernels
	Files
}

// Engines are what kernels are made of: the PySparks that are, or can be, installed.
type Engines interface {
	// Resolve names the engine version that a selected one stands for.
	Resolve(selected string) (effective string, err error)
	// Versions are the engine versions that can be selected, in the order in which they are offered.
	Versions() []ergane.EngineVersion
	// Check refuses a session that could never start, with a sentence that
	// says why, and tells how many bytes of memory one that can may need.
	Check(s ergane.Session) (memory int64, err error)
	// Prepare waits until what the kernel of a session needs is installed.
	Prepare(ctx context.Context, s ergane.Session) error
	// Downloads reports whether the kernel of a session fetches something from
	// elsewhere before it is ready.
	Downloads(s ergane.Session) bool
}

// Kernels starts kernels and finds them again.
type Kernels interface {
	// Start starts the kernel of a session. If ctx ends, nothing is left of it.
	Start(ctx context.Context, s ergane.Session) (Kernel, error)
	// Shape names what a kernel cannot change once it is started: one that was
	// started ahead is good for any session of its shape. like is a session of
	// that shape that asks for nothing else. Empty where no kernel is started ahead.
	Shape(s ergane.Session) (shape string, like ergane.Session)
	// StartAhead starts a kernel for a session that is yet to come; like is as
	// Shape returned it, but for the ID, which will be the session's.
	StartAhead(ctx context.Context, like ergane.Session, shape string) (Kernel, error)
	// Ahead tells of which shape the kernel in a session's folder was started
	// ahead, and when; false where it was not, or was claimed since.
	Ahead(sessionID string) (shape string, at time.Time, ok bool)
	// Adopt finds the kernel that an earlier server started. ErrNoKernel
	// where none was ever started; an *ExitError where it has ended; ErrLost
	// where nothing usable is known of one that may live. Any other error says
	// only that it could not be looked for now.
	Adopt(ctx context.Context, sessionID string) (Kernel, error)
	// Expel ends the kernel of a session, and all that it started, without
	// adopting it. It needs to write nothing, and nil says that nothing is left.
	Expel(ctx context.Context, sessionID string) error
}

// Files are what kernels have left on disk, living or dead.
type Files interface {
	delivery.Files
	// DiskUse is how many bytes the files of a session's kernel take up, or
	// more than limit if it is more than that; ErrUnmeasurable where the kernel's
	// code has made folders in a way that nobody can tell.
	DiskUse(ctx context.Context, sessionID string, limit int64) (int64, error)
	// LogSize is how many bytes the files of a session take up that Discard and
	// Trim leave: its logs.
	LogSize(sessionID string) (int64, error)
	// Discard removes what a dead kernel left on disk, except its logs. Trim
	// leaves its spool, too.
	Discard(sessionID string) error
	Trim(sessionID string) error
	// Forget removes the logs, too, and forgets SetLogStored.
	Forget(sessionID string) error
	// Sessions returns the ids of all sessions that left something on this machine.
	Sessions() ([]string, error)
	// Location refuses an s3:// address below which nothing could ever be stored.
	Location(uri string) error
}

// Objects is where results go.
type Objects interface {
	delivery.Objects
	// Get opens an object from an offset on.
	Get(ctx context.Context, uri string, from int64) (io.ReadCloser, error)
	// Delete removes an object; that there is none is fine.
	Delete(ctx context.Context, uri string, d ergane.Delivery) error
}

// ErrNoKernel is Host.Adopt's answer where no kernel was ever started.
var ErrNoKernel = errors.New("the session has no kernel")

// ErrUnmeasurable is Host.DiskUse's answer where folders are nested too deep to
// be followed, or moved about meanwhile.
var ErrUnmeasurable = errors.New("the session's folder cannot be measured")

// ErrLost is Host.Adopt's answer where a kernel may live that nobody will ever be able to adopt.
var ErrLost = errors.New("what is known of the session's kernel is damaged")

// ExitError tells that a kernel ended, and how.
type ExitError struct{ Exit ergane.Exit }

func (e *ExitError) Error() string { return "the session's kernel " + e.Exit.String() }
