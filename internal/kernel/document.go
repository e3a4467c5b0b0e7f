package kernel

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/ergane-dev/ergane"
)

// The documents that the kernel writes. They come from a process that runs
// user code, so every field is checked and every text is bounded here, once.

const (
	maxDocument   = 256 << 10 // bytes of any document; the longest honest one is 25 KiB
	maxErrorName  = 256       // bytes
	maxErrorValue = 4 << 10   // bytes
)

// An outcomeDocument is how the kernel says that a calculation ended.
type outcomeDocument struct {
	V     int    `json:"v"`
	ID    string `json:"id"`
	State string `json:"state"`
	Error *struct {
		Name  string `json:"name"`
		Value string `json:"value"`
	} `json:"error"`
	Start      float64  `json:"start"`
	End        float64  `json:"end"`
	Stdout     [2]int64 `json:"stdout"`
	Stderr     [2]int64 `json:"stderr"`
	Outputs    int64    `json:"outputs"`
	Unrecorded string   `json:"unrecorded"`
}

// parseOutcome reads the outcome of the calculation id. Impossible times become
// zero and impossible ranges empty; anything else that is wrong is an error.
func parseOutcome(b []byte, id string) (ergane.Outcome, error) {
	var d outcomeDocument
	if err := json.Unmarshal(b, &d); err != nil {
		return ergane.Outcome{}, err
	}
	return d.outcome(id)
}

func (d *outcomeDocument) outcome(id string) (ergane.Outcome, error) {
	o := ergane.Outcome{State: ergane.CalculationState(d.State)}
	switch {
	case d.V != protocolVersion:
		return ergane.Outcome{}, errVersion
	case d.ID != id:
		return ergane.Outcome{}, errors.New("it is another calculation's")
	case !o.State.Terminal():
		return ergane.Outcome{}, fmt.Errorf("no calculation ends in the state %q", clip(d.State, 32))
	}
	switch {
	case d.Unrecorded != "":
		o.State, o.Reason = ergane.CalculationFailed, "the kernel could not record the outcome: "+clip(d.Unrecorded, maxErrorValue)
	case d.Error != nil && o.State == ergane.CalculationFailed:
		o.Reason = reason(clip(d.Error.Name, maxErrorName), clip(d.Error.Value, maxErrorValue))
	}
	o.StartedAt, o.EndedAt = epochSeconds(d.Start), epochSeconds(d.End)
	if o.EndedAt.Before(o.StartedAt) {
		o.EndedAt = o.StartedAt
	}
	o.Stdout, o.Stderr = validRange(d.Stdout), validRange(d.Stderr)
	o.Outputs = max(0, d.Outputs)
	return o, nil
}

// reason is an error in one line, like the last line of a traceback, without the
// lines that Java appends.
func reason(name, value string) string {
	value, _, _ = strings.Cut(value, "\n\tat ")
	value = strings.Join(strings.Fields(value), " ")
	switch {
	case name == "":
		return value
	case value == "":
		return name
	}
	return name + ": " + value
}

// Started is the kernel's record that it has begun a calculation.
type Started struct {
	At     time.Time // zero where the kernel named no credible time
	Stdout int64     // offset in the stdout spool at which the calculation's output begins
	Stderr int64
}

type startedDocument struct {
	V      int     `json:"v"`
	ID     string  `json:"id"`
	T      float64 `json:"t"`
	Stdout int64   `json:"stdout"`
	Stderr int64   `json:"stderr"`
}

func parseStarted(b []byte, id string) (Started, error) {
	var d startedDocument
	if err := json.Unmarshal(b, &d); err != nil {
		return Started{}, err
	}
	switch {
	case d.V != protocolVersion:
		return Started{}, errVersion
	case d.ID != id:
		return Started{}, errors.New("it is another calculation's")
	}
	return Started{At: epochSeconds(d.T), Stdout: max(0, d.Stdout), Stderr: max(0, d.Stderr)}, nil
}

// A readyDocument is ready.json, and claimed.json.
type readyDocument struct {
	V     int  `json:"v"`
	OK    bool `json:"ok"`
	Error struct {
		Name  string `json:"name"`
		Value string `json:"value"`
	} `json:"error"`
}

// parseReady returns a *SparkError where Spark refused to start.
func parseReady(b []byte) (refusal *SparkError, err error) {
	var d readyDocument
	if err := json.Unmarshal(b, &d); err != nil {
		return nil, err
	}
	if d.V != protocolVersion {
		return nil, errVersion
	}
	if d.OK {
		return nil, nil
	}
	return &SparkError{Name: clip(d.Error.Name, maxErrorName), Value: clip(d.Error.Value, maxErrorValue)}, nil
}

// parseExit reads exit.json of the shim and driver.json of the kernel.
func parseExit(b []byte) (ergane.Exit, error) {
	var d exitDocument
	if err := json.Unmarshal(b, &d); err != nil {
		return ergane.Exit{}, err
	}
	if d.V != protocolVersion {
		return ergane.Exit{}, errVersion
	}
	exit := ergane.Exit{Known: d.Code != nil, Signal: max(0, d.Signal), Detail: clip(d.Detail, maxErrorValue)}
	if exit.Known {
		exit.Code = *d.Code
	}
	return exit, nil
}

type exitDocument struct {
	V      int    `json:"v"`
	Code   *int   `json:"code"` // null if user code reaped the process: then it is not known
	Signal int    `json:"signal"`
	Detail string `json:"detail"`
}

// validRange makes a range of two numbers; empty if it is reversed or begins before 0.
func validRange(r [2]int64) ergane.Range {
	start := max(0, r[0])
	return ergane.Range{Start: start, End: max(start, r[1])}
}

// lastSecond is the end of the year 9999, beyond which times have no JSON form.
const lastSecond = 253402300799

func epochSeconds(s float64) time.Time {
	if !(s > 0 && s < lastSecond) { // also refuses NaN
		return time.Time{}
	}
	whole, part := math.Modf(s)
	return time.Unix(int64(whole), int64(part*1e9)).UTC().Round(time.Microsecond)
}

// clip bounds s to n bytes without cutting a character.
func clip(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}

// validID keeps ids that are used in paths and orders to plain characters.
func validID(id string) error {
	plain := func(r rune) bool {
		return r == '-' || r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z'
	}
	if id == "" || len(id) > 64 || strings.ContainsFunc(id, func(r rune) bool { return !plain(r) }) {
		return fmt.Errorf("%q is not an id", clip(id, 64))
	}
	return nil
}
