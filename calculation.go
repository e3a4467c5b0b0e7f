package ergane

import "time"

// CalculationState is the wire enum CalculationExecutionState.
type CalculationState string

const (
	CalculationCreating  CalculationState = "CREATING"
	CalculationCreated   CalculationState = "CREATED" // of the enum; never entered here
	CalculationQueued    CalculationState = "QUEUED"  // of the enum; never entered here
	CalculationRunning   CalculationState = "RUNNING"
	CalculationCanceling CalculationState = "CANCELING"
	CalculationCanceled  CalculationState = "CANCELED"
	CalculationCompleted CalculationState = "COMPLETED"
	CalculationFailed    CalculationState = "FAILED"
)

// Terminal reports whether no move leads out of s.
func (s CalculationState) Terminal() bool {
	return s == CalculationCanceled || s == CalculationCompleted || s == CalculationFailed
}

// MaxCodeBlock is the longest code block, in characters, that a calculation takes.
const MaxCodeBlock = 68_000

// ResultType is the one value of CalculationResult.ResultType that clients know.
const ResultType = "application/vnd.aws.athena.v1+json"

// A Calculation is one submitted code block. It has exactly one outcome.
type Calculation struct {
	ID          string // canonical lower-case UUID text
	SessionID   string
	Description string
	// WorkingDirectory is the s3:// address below which the objects of the calculation lie.
	WorkingDirectory string
	Code             string // filled only where a method says so
	Status           CalculationStatus
	Statistics       CalculationStatistics
	Result           *CalculationResult // nil until the objects exist
}

// CalculationStatus is the wire shape CalculationStatus; zero times are absent ones.
type CalculationStatus struct {
	State       CalculationState
	Reason      string // absent on COMPLETED; on FAILED the last line of the traceback
	SubmittedAt time.Time
	StartedAt   time.Time // when the kernel began; not on the wire
	CompletedAt time.Time
}

// CalculationStatistics is the wire shape CalculationStatistics.
type CalculationStatistics struct {
	DpuMillis int64
	Progress  string // "N%", or empty before the kernel has begun
}

// CalculationResult holds the addresses of objects that exist.
type CalculationResult struct {
	StdOut  string
	StdErr  string
	Results string
}

// URI is the address of the object with what was printed to a stream.
func (r CalculationResult) URI(s Stream) string {
	if s == Stderr {
		return r.StdErr
	}
	return r.StdOut
}

// Undelivered is what a calculation wrote that ended without its objects. It
// stays in the session's files until it is delivered or discarded.
type Undelivered struct {
	Stdout, Stderr Range
	Outputs        int64 // bytes of the rich outputs, or AllOutputs
	// Unread is true if the lengths could not be read when the calculation ended.
	Unread bool
}

// Bytes is the length of all of it, as far as it is known.
func (u Undelivered) Bytes() int64 { return u.Stdout.Len() + u.Stderr.Len() + max(0, u.Outputs) }

// A PendingDelivery is a calculation that has ended and whose objects are
// still to be delivered.
type PendingDelivery struct {
	Calculation
	Undelivered Undelivered
}

// ResultAt is the result below a calculation's working directory.
func ResultAt(workingDirectory string) *CalculationResult {
	return &CalculationResult{
		StdOut:  workingDirectory + "/stdout",
		StdErr:  workingDirectory + "/stderr",
		Results: workingDirectory + "/results",
	}
}
