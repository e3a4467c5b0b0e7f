package ergane

import "time"

// ExecutorType is the wire enum ExecutorType.
type ExecutorType string

const (
	ExecutorCoordinator ExecutorType = "COORDINATOR" // the Spark driver
	ExecutorGateway     ExecutorType = "GATEWAY"     // the kernel process
	ExecutorWorker      ExecutorType = "WORKER"      // a Spark executor
)

// ExecutorState is the wire enum ExecutorState.
type ExecutorState string

const (
	ExecutorCreating    ExecutorState = "CREATING"
	ExecutorCreated     ExecutorState = "CREATED"
	ExecutorRegistered  ExecutorState = "REGISTERED"
	ExecutorTerminating ExecutorState = "TERMINATING"
	ExecutorTerminated  ExecutorState = "TERMINATED"
	ExecutorFailed      ExecutorState = "FAILED"
)

// Ended reports whether no move leads out of s.
func (s ExecutorState) Ended() bool { return s == ExecutorTerminated || s == ExecutorFailed }

// An Executor is a record of one node of a session. It outlives the node.
type Executor struct {
	ID           string // UUID text, derived from the session and Name
	SessionID    string
	Name         string // what Spark calls it ("driver", "1"); "kernel" for the gateway
	Type         ExecutorType
	State        ExecutorState
	Size         int64 // DPUs
	StartedAt    time.Time
	TerminatedAt time.Time
}

// A SparkExecutor is an executor as the Spark driver knows it.
type SparkExecutor struct {
	App       string // which of the session's Spark applications: code may stop one and start another
	Name      string // "driver", "1", …
	Active    bool
	AddedAt   time.Time // zero if Spark never said
	RemovedAt time.Time
	Reason    string // why it was removed
}
