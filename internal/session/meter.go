package session

import (
	"strings"
	"syscall"
	"time"

	"github.com/ergane-dev/ergane"
	"github.com/ergane-dev/ergane/internal/delivery"
)

// A Meter counts and measures for the operator. It is called from many
// goroutines, and must not block.
type Meter interface {
	// Took records how long a step took that has succeeded.
	Took(s Step, d time.Duration)
	// Count counts one event; kind is one of Kinds[c].
	Count(c Counter, kind string)
}

// A Step is a step of a calculation (docs/architecture.md), or something else
// whose time is measured.
type Step string

// The steps of a calculation with their numbers, all of them together, and the start of a session.
const (
	StepReceive  Step = "receive"   // 1: verify and decode
	StepCommit   Step = "commit"    // 2: the transaction that takes the code
	StepHandOver Step = "hand_over" // 4: until the kernel has accepted the code
	StepBegin    Step = "begin"     // 5: until the code runs
	StepRun      Step = "run"       // 5: the code, by the kernel's clock
	StepRecord   Step = "record"    // 6: until the outcome is on disk and read
	StepDeliver  Step = "deliver"   // 7: all objects
	StepSettle   Step = "settle"    // 8: the transaction that ends it
	StepWhole    Step = "whole"     // 2 to 8, with the waits between them

	SessionStart Step = "session_start" // StartSession to IDLE
)

// Steps are all steps of a calculation.
var Steps = []Step{
	StepReceive, StepCommit, StepHandOver, StepBegin, StepRun, StepRecord, StepDeliver, StepSettle, StepWhole,
}

// A Counter counts one sort of event, by kinds.
type Counter string

// The counters.
const (
	CountSessions     Counter = "sessions"     // that have ended, by their last state
	CountCalculations Counter = "calculations" // the same
	CountKernels      Counter = "kernels"      // started, adopted or claimed
	CountDeaths       Counter = "deaths"       // of kernels that nobody had asked to end
	CountPuts         Counter = "puts"         // attempts to store an object
	CountLimits       Counter = "limits"       // that a request or a calculation broke, or would have broken
	CountStops        Counter = "stops"        // of code that had to be stopped
	CountHolds        Counter = "holds"        // reads that were held, or were too many to be
	CountRedeliveries Counter = "redeliveries" // of calculations that could not be delivered when they ended
	CountExpired      Counter = "expired"      // what was removed because it ended long ago
)

// Kinds are the kinds of each counter.
var Kinds = map[Counter][]string{
	CountSessions:     {string(ergane.SessionTerminated), string(ergane.SessionFailed)},
	CountCalculations: {string(ergane.CalculationCompleted), string(ergane.CalculationFailed), string(ergane.CalculationCanceled)},
	CountKernels:      {kernelStarted, kernelAdopted, kernelAhead, kernelClaimed},
	CountDeaths:       {deathSignal, deathStatus, deathMemory, deathKilled, deathUnrecorded, deathNotReady, deathDriver},
	CountPuts:         delivery.PutKinds,
	CountLimits: {
		string(ergane.LimitSessions), string(ergane.LimitWorkGroupSessions), string(ergane.LimitDpus),
		string(ergane.LimitWorkGroupDpus), string(ergane.LimitMemory), limitOutput, limitDisk, limitRunTime,
	},
	CountStops:        {stopInterrupt, stopKill},
	CountHolds:        {holdHeld, holdRefused},
	CountRedeliveries: delivery.RedeliveryKinds,
	CountExpired:      {expiredSession, expiredObject},
}

const (
	kernelStarted = "started"
	kernelAdopted = "adopted" // from an earlier server
	kernelAhead   = "ahead"   // started before there was a session for it
	kernelClaimed = "claimed" // one that was started ahead, by a session

	deathSignal     = "signal"
	deathStatus     = "exit_status"
	deathMemory     = "out_of_memory"
	deathKilled     = "killed"     // by us, because an interrupt had no effect
	deathUnrecorded = "unrecorded" // its shim was dead, too
	deathNotReady   = "not_ready"  // it ended, or refused to start, before it took calculations
	deathDriver     = "driver"     // the Spark driver's alone; Python lives

	limitOutput  = "output"
	limitDisk    = "disk"
	limitRunTime = "run_time"

	stopInterrupt = "interrupt"
	stopKill      = "kill"

	expiredSession = "session" // with its calculations
	expiredObject  = "object"  // of a calculation

	holdHeld    = "held"
	holdRefused = "refused" // answered at once, because too many are held
)

// noMeter is the Meter of a Manager without one.
type noMeter struct{}

func (noMeter) Took(Step, time.Duration) {}
func (noMeter) Count(Counter, string)    {}

// causeOf is the kind of CountDeaths for an exit.
func causeOf(e ergane.Exit) string {
	switch {
	case e.Signal == int(syscall.SIGKILL) && strings.HasPrefix(e.Detail, ergane.OutOfMemory):
		return deathMemory
	case e.Signal != 0:
		return deathSignal
	case e.Known:
		return deathStatus
	}
	return deathUnrecorded
}

// times are when the steps of a calculation were seen by the server.
type times struct{ begun, taken, over time.Time }

// report reports the steps of a calculation to a Meter. The kernel's own times may
// be forged by user code, and are believed only within those that we have seen.
func (t times) report(m Meter, o ergane.Outcome) {
	if o.StartedAt.IsZero() || t.taken.IsZero() {
		return
	}
	within := func(d time.Duration) time.Duration { return min(max(0, d), t.over.Sub(t.begun)) }
	if o.StartedAt.Before(t.begun) {
		return // it was started by an earlier server: we have seen only a part of it
	}
	m.Took(StepHandOver, t.taken.Sub(t.begun))
	m.Took(StepBegin, within(o.StartedAt.Sub(t.taken)))
	m.Took(StepRun, within(o.EndedAt.Sub(o.StartedAt)))
	m.Took(StepRecord, within(t.over.Sub(o.EndedAt)))
}

// Held is how many requests are held at present.
func (m *Manager) Held() int {
	m.holds.mu.Lock()
	defer m.holds.mu.Unlock()
	return m.holds.all
}
