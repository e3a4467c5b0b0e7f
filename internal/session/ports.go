package session

import (
	"context"
	"errors"
	"io"
	"time"

	"github.com/ergane-dev/ergane"
	"github.com/ergane-dev/ergane/internal/delivery"
)

// A Store is what a Manager needs of a database: an ergane.Store without Close,
// which is called by the owner of the store.
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
	// Claim gives a kernel that was started ahead to a session, and waits until
	// it takes the session's calculations; for any other kernel it does nothing.
	// Repeating it is harmless. After an error, whose text tells a user why, the
	// session cannot start.
	Claim(ctx context.Context, s ergane.Session) error
	// Exec hands over the code of a calculation. Repeating it is harmless.
	Exec(ctx context.Context, id, code string) error
	// Wait returns the calculation's outcome. When the kernel died without
	// one, the error is not nil and Done is closed.
	Wait(ctx context.Context, id string) (ergane.Outcome, error)
	// Has reports whether the kernel has already taken the calculation.
	Has(id string) bool
	// Age is how long ago a calculation was submitted; submitted is the time of
	// that by the machine's clock, which may have been set since.
	Age(id string, submitted time.Time) time.Duration
	// Interrupt stops the calculation as far as it can be stopped; it keeps
	// trying until the outcome is there or ctx ends. Another call interrupts
	// again at once, for code that caught the first interrupt and went on.
	Interrupt(ctx context.Context, id string) error
	Executors(ctx context.Context) ([]ergane.SparkExecutor, error)
	// Progress counts the finished and all known tasks of a calculation.
	Progress(ctx context.Context, id string) (done, total int, err error)
	// Shutdown asks the kernel to end, kills it and everything it started
	// after grace, and returns when nothing is left.
	Shutdown(ctx context.Context, grace time.Duration) ergane.Exit
	// Done is closed when the kernel's process has ended; Exit says how.
	Done() <-chan struct{}
	Exit() ergane.Exit
	// DriverDied is closed when the Spark driver's process has ended while the kernel lives.
	DriverDied() <-chan struct{}
	// DriverExit is how the Spark driver ended, once DriverDied is closed.
	DriverExit() ergane.Exit
	// Killed counts the session's processes that the out-of-memory killer
	// killed, as far as that is known, and says which memory was exhausted.
	Killed() (n int64, why string)
	// Detach closes the connection to the kernel, which lives on.
	Detach()
}

// A Host is the machine that sessions run on.
type Host interface {
	Engines
	Kernels
	Files
}

// Engines are the PySpark versions that are, or can be, installed.
type Engines interface {
	// Resolve names the engine version that a selected one stands for.
	Resolve(selected string) (effective string, err error)
	// Versions are the engine versions that can be selected, in the order in which they are offered.
	Versions() []ergane.EngineVersion
	// Check refuses a session that could never start, with a sentence that
	// says why; for one that can it returns how many bytes of memory it may need.
	Check(s ergane.Session) (memory int64, err error)
	// Prepare waits until what the kernel of a session needs is installed.
	Prepare(ctx context.Context, s ergane.Session) error
	// Downloads reports whether the kernel of a session downloads something
	// before it is ready.
	Downloads(s ergane.Session) bool
}

// Kernels starts kernels and finds them again.
type Kernels interface {
	// Start starts the kernel of a session. If ctx ends, nothing is left of it.
	Start(ctx context.Context, s ergane.Session) (Kernel, error)
	// Shape names the properties that a kernel cannot change once it is
	// started: one that was started ahead fits any session of its shape. like is
	// a session of that shape with no other settings. The shape is empty if no
	// kernel can be started ahead for s.
	Shape(s ergane.Session) (shape string, like ergane.Session)
	// StartAhead starts a kernel for a future session; like is what Shape
	// returned, except for the ID, which will be the session's.
	StartAhead(ctx context.Context, like ergane.Session, shape string) (Kernel, error)
	// Ahead returns the shape of a kernel that was started ahead in a session's
	// folder, and when it was started; false if it was not started ahead, or has
	// been claimed.
	Ahead(sessionID string) (shape string, at time.Time, ok bool)
	// Adopt finds the kernel that an earlier server started. The error is
	// ErrNoKernel if none was ever started, an *ExitError if it has ended, and
	// ErrLost if it may live but its handle is unusable. Any other error says
	// only that the kernel could not be looked for now.
	Adopt(ctx context.Context, sessionID string) (Kernel, error)
	// Expel ends the kernel of a session, and everything it started, without
	// adopting it. It works on a full disk. After nil nothing is left.
	Expel(ctx context.Context, sessionID string) error
}

// Files are what kernels, living or dead, have on disk.
type Files interface {
	delivery.Files
	// DiskUse is how many bytes the files of a session's kernel take up; it may
	// stop counting above limit. The error is ErrUnmeasurable if the folders that
	// the session's code made cannot be measured.
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
	// Location refuses an s3:// address below which no object could be stored.
	Location(uri string) error
}

// Objects is the S3 for results.
type Objects interface {
	delivery.Objects
	// Get opens an object from an offset on.
	Get(ctx context.Context, uri string, from int64) (io.ReadCloser, error)
	// Delete removes an object; a missing object is no error.
	Delete(ctx context.Context, uri string, d ergane.Delivery) error
}

// ErrNoKernel is Host.Adopt's error if no kernel was ever started.
var ErrNoKernel = errors.New("the session has no kernel")

// ErrUnmeasurable is Host.DiskUse's error if folders are nested too deep to be
// followed, or are moved while they are measured.
var ErrUnmeasurable = errors.New("the session's folder cannot be measured")

// ErrLost is Host.Adopt's error if a kernel may live that no server will ever be able to adopt.
var ErrLost = errors.New("the record of the session's kernel is damaged")

// An ExitError says that a kernel ended, and how.
type ExitError struct{ Exit ergane.Exit }

func (e *ExitError) Error() string { return "the session's kernel " + e.Exit.String() }
