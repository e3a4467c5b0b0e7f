package ergane

import (
	"fmt"
	"strings"
	"syscall"
	"time"
)

// An Outcome is the kernel's durable record of how a calculation ended. It comes
// from a process that runs user code: nothing in it is trusted beyond its session.
type Outcome struct {
	State      CalculationState // COMPLETED, FAILED or CANCELED
	ErrorName  string           // exception class, empty on COMPLETED
	ErrorValue string           // its text, of bounded length
	StartedAt  time.Time
	EndedAt    time.Time
	Stdout     Range // of the session's stdout spool
	Stderr     Range // of the session's stderr spool
	Outputs    int64 // bytes of the calculation's outputs file
	// Unrecorded says why the kernel could not write the outcome to disk; it has
	// then ended itself. Empty if it could.
	Unrecorded string
}

// Reason is the error as in the last line of a traceback, without the stack that
// Java appends: one line for a person. It is empty without an error.
func (o Outcome) Reason() string {
	value, _, _ := strings.Cut(o.ErrorValue, "\n\tat ")
	value = strings.Join(strings.Fields(value), " ")
	switch {
	case o.ErrorName == "":
		return value
	case value == "":
		return o.ErrorName
	}
	return o.ErrorName + ": " + value
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
