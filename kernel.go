package ergane

import (
	"fmt"
	"syscall"
	"time"
)

// A Stream names one of the two files that take what a session prints.
type Stream string

const (
	Stdout Stream = "stdout"
	Stderr Stream = "stderr"
)

// Streams are all of them.
var Streams = [...]Stream{Stdout, Stderr}

// An Outcome is how a calculation ended: as its kernel recorded it, or as the
// server decided if the kernel did not. A kernel's record comes from a process
// that runs user code: nothing in it is trusted beyond its session.
type Outcome struct {
	State     CalculationState // COMPLETED, FAILED or CANCELED
	Reason    string           // for a person: why it is FAILED or CANCELED
	StartedAt time.Time        // zero: it never ran
	EndedAt   time.Time
	Stdout    Range // of the session's stdout spool
	Stderr    Range // of the session's stderr spool
	Outputs   int64 // bytes of the calculation's outputs file, or AllOutputs
	// Unread is why what the calculation wrote cannot be read now; nil if it can.
	Unread error
}

// AllOutputs stands for the whole outputs file of a calculation, however long it is.
const AllOutputs = -1

// Printed is the range of a stream that the calculation printed.
func (o Outcome) Printed(s Stream) Range {
	if s == Stderr {
		return o.Stderr
	}
	return o.Stdout
}

// Empty reports whether the calculation is known to have written nothing.
func (o Outcome) Empty() bool {
	return o.Unread == nil && o.Stdout.Len() == 0 && o.Stderr.Len() == 0 && o.Outputs == 0
}

// A Range is the bytes [Start, End) of a spool file.
type Range struct{ Start, End int64 }

// Len is the number of bytes in the range.
func (r Range) Len() int64 { return r.End - r.Start }

// OutOfMemory is how the Detail of an Exit begins if Linux killed the kernel because memory ran out.
const OutOfMemory = "out of memory"

// An Exit is how a kernel's process ended, as its shim recorded it.
type Exit struct {
	Code   int
	Signal int
	// Known is false if the shim did not record it, because it ended first.
	Known bool
	// Detail is what else is known: out of memory, or the last line that the process printed.
	Detail string
}

// String is the second half of a sentence: "was killed by signal 9 (killed)".
func (e Exit) String() string {
	s := "ended without leaving a record"
	switch {
	case e.Signal != 0:
		s = fmt.Sprintf("was killed by signal %d (%s)", e.Signal, syscall.Signal(e.Signal))
	case e.Known:
		s = fmt.Sprintf("exited with status %d", e.Code)
	}
	if e.Detail != "" {
		s += ": " + e.Detail
	}
	return s
}
