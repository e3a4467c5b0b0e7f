package ergane

import (
	"slices"
	"time"
)

// An Edge is one legal state change and the evidence for it.
type Edge[S ~string] struct {
	From, To S
	// Evidence says where the edge comes from: the operation, the service
	// model, or the design decision behind it.
	Evidence string
}

// SessionEdges is the session's state machine. docs/state-machine.md is generated from it.
var SessionEdges = []Edge[SessionState]{
	{SessionCreating, SessionIdle, "the kernel is ready; CREATED is never shown, because clients disagree on whether it is ready"},
	{SessionIdle, SessionBusy, "StartCalculationExecution was accepted"},
	{SessionBusy, SessionIdle, "the calculation ended; one transaction with its end"},
	{SessionCreating, SessionTerminating, "TerminateSession"},
	{SessionIdle, SessionTerminating, "TerminateSession or the idle timeout"},
	{SessionBusy, SessionTerminating, "TerminateSession"},
	{SessionDegraded, SessionTerminating, "TerminateSession or the idle timeout"},
	{SessionTerminating, SessionTerminated, "the kernel and everything it started is gone"},
	{SessionCreating, SessionFailed, "the kernel did not start, or Spark refused a property"},
	{SessionIdle, SessionFailed, "the kernel was lost"},
	{SessionBusy, SessionFailed, "the kernel was lost; one transaction with the end of its calculation"},
	{SessionIdle, SessionDegraded, "the Spark driver died, the kernel lives"},
	{SessionBusy, SessionDegraded, "the Spark driver died, the kernel lives"},
	{SessionDegraded, SessionFailed, "the kernel was lost, too"},
}

// CalculationEdges is the calculation's state machine. docs/state-machine.md is generated from it.
var CalculationEdges = []Edge[CalculationState]{
	{CalculationCreating, CalculationRunning, "the kernel took the code"},
	{CalculationCreating, CalculationCanceling, "StopCalculationExecution or TerminateSession"},
	{CalculationRunning, CalculationCanceling, "StopCalculationExecution or TerminateSession"},
	{CalculationCreating, CalculationCompleted, "the outcome was on disk before the server saw the start"},
	{CalculationCreating, CalculationFailed, "the outcome was on disk before the server saw the start, or the kernel was lost"},
	{CalculationCreating, CalculationCanceled, "the outcome was on disk before the server saw the start"},
	{CalculationRunning, CalculationCompleted, "the code ran to its end"},
	{CalculationRunning, CalculationFailed, "the code raised, the kernel was lost, or the objects could not be stored"},
	{CalculationRunning, CalculationCanceled, "the kernel says that the code was stopped"},
	{CalculationCanceling, CalculationCanceled, "the interrupt took effect, the code never started, or the kernel was killed after the grace period"},
	{CalculationCanceling, CalculationCompleted, "the code ended before the interrupt reached it"},
	{CalculationCanceling, CalculationFailed, "the code raised before the interrupt reached it, or the objects could not be stored"},
}

// ExecutorEdges is the executor's state machine. Executors are observed, not
// steered: the store follows an observation only along these edges, and
// docs/state-machine.md is generated from them.
var ExecutorEdges = []Edge[ExecutorState]{
	{ExecutorCreating, ExecutorCreated, "the session's kernel was started and answers; Spark does not yet"},
	{ExecutorCreated, ExecutorRegistered, "Spark is up, and the session IDLE"},
	{ExecutorCreating, ExecutorRegistered, "it passed CREATED between two observations"},
	{ExecutorCreating, ExecutorTerminating, "its session is terminating"},
	{ExecutorCreated, ExecutorTerminating, "its session is terminating"},
	{ExecutorRegistered, ExecutorTerminating, "its session is terminating"},
	{ExecutorCreating, ExecutorTerminated, "its session ended"},
	{ExecutorCreated, ExecutorTerminated, "its session ended"},
	{ExecutorRegistered, ExecutorTerminated, "the Spark driver removed it or was stopped, or its session ended"},
	{ExecutorTerminating, ExecutorTerminated, "its process is gone"},
	{ExecutorCreating, ExecutorFailed, "it did not start, or its session failed"},
	{ExecutorCreated, ExecutorFailed, "it did not register, or its session failed"},
	{ExecutorRegistered, ExecutorFailed, "Spark lost it, the Spark driver died, or its session failed"},
	{ExecutorTerminating, ExecutorFailed, "it was lost while its session was terminating"},
}

// Sources returns the states from which an edge leads to the state to.
func Sources[S ~string](edges []Edge[S], to S) []S {
	var from []S
	for _, e := range edges {
		if e.To == to && !slices.Contains(from, e.From) {
			from = append(from, e.From)
		}
	}
	return from
}

// A SessionMove is one state change of a session. Only the constructors below
// make one; the store applies it by compare-and-set against From.
type SessionMove struct {
	ID     string
	From   []SessionState
	To     SessionState
	Reason string
	At     time.Time
}

func sessionMove(id string, to SessionState, at time.Time, reason string) SessionMove {
	return SessionMove{ID: id, From: Sources(SessionEdges, to), To: to, At: at, Reason: reason}
}

// Only restricts the move to sessions in the state from: the one that the
// decision to move was based on.
func (m SessionMove) Only(from SessionState) SessionMove {
	m.From = slices.DeleteFunc(slices.Clone(m.From), func(s SessionState) bool { return s != from })
	return m
}

// SessionReady: the kernel of a CREATING session takes calculations.
func SessionReady(id string, at time.Time) SessionMove {
	return SessionMove{ID: id, From: []SessionState{SessionCreating}, To: SessionIdle, At: at}
}

// SessionTaken: a calculation was accepted.
func SessionTaken(id string, at time.Time) SessionMove {
	return sessionMove(id, SessionBusy, at, "")
}

// SessionFreed: the session's calculation ended.
func SessionFreed(id string, at time.Time) SessionMove {
	return SessionMove{ID: id, From: []SessionState{SessionBusy}, To: SessionIdle, At: at}
}

// SessionStopping: the session is terminating, for the reason given.
func SessionStopping(id string, at time.Time, reason string) SessionMove {
	return sessionMove(id, SessionTerminating, at, reason)
}

// SessionExpires: the session was not used for its idle timeout. It never stops a BUSY one.
func SessionExpires(id string, at time.Time, reason string) SessionMove {
	m := sessionMove(id, SessionTerminating, at, reason)
	m.From = []SessionState{SessionIdle, SessionDegraded}
	return m
}

// SessionStopped: nothing of a TERMINATING session is left. The reason stays that of SessionStopping.
func SessionStopped(id string, at time.Time) SessionMove {
	return sessionMove(id, SessionTerminated, at, "")
}

// SessionLost: the kernel has ended, or never started.
func SessionLost(id string, at time.Time, reason string) SessionMove {
	return sessionMove(id, SessionFailed, at, reason)
}

// SessionDegrades: the Spark driver died while the kernel lives.
func SessionDegrades(id string, at time.Time, reason string) SessionMove {
	return sessionMove(id, SessionDegraded, at, reason)
}

// A CalculationMove is one state change of a calculation. Only the
// constructors below make one; the store applies it by compare-and-set.
type CalculationMove struct {
	ID        string
	From      []CalculationState
	To        CalculationState
	Reason    string
	At        time.Time
	StartedAt time.Time // zero keeps the earlier one
	DpuMillis int64     // of a terminal move; at least 1 for anything that ran
	Progress  string    // empty keeps the earlier one
	// Result, of a terminal move, names objects that are durable before the move is made.
	Result *CalculationResult
	// Undelivered, of a terminal move without a Result, is what is delivered later.
	Undelivered *Undelivered
}

func calculationMove(id string, to CalculationState, at time.Time, reason string) CalculationMove {
	return CalculationMove{ID: id, From: Sources(CalculationEdges, to), To: to, At: at, Reason: reason}
}

// CalculationStarts: the kernel has taken the code at the time given.
func CalculationStarts(id string, at time.Time) CalculationMove {
	m := calculationMove(id, CalculationRunning, at, "")
	m.StartedAt, m.Progress = at, "0%"
	return m
}

// CalculationStopping: a client asked to stop the calculation, or its session ends.
func CalculationStopping(id string, at time.Time, reason string) CalculationMove {
	return calculationMove(id, CalculationCanceling, at, reason)
}

func terminalMove(id string, to CalculationState, at time.Time, reason string) CalculationMove {
	m := calculationMove(id, to, at, reason)
	m.Progress = "100%"
	return m
}

// CalculationCompletes: the code ran to its end. There is no reason: clients read one as an error.
func CalculationCompletes(id string, at time.Time) CalculationMove {
	return terminalMove(id, CalculationCompleted, at, "")
}

// CalculationFails: the code raised, or could not be run or delivered.
func CalculationFails(id string, at time.Time, reason string) CalculationMove {
	return terminalMove(id, CalculationFailed, at, reason)
}

// CalculationCancels: the code was stopped, or never started.
func CalculationCancels(id string, at time.Time, reason string) CalculationMove {
	return terminalMove(id, CalculationCanceled, at, reason)
}
