package fakehost

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/ergane-dev/ergane"
)

// The code that the kernels of a Machine run has a verb and its argument on each line:
//
//	print TEXT         TEXT and a newline to stdout
//	warn TEXT          the same to stderr
//	fill BYTES         as many bytes to stdout
//	show JSON          a rich output
//	sleep DURATION     can be interrupted
//	at DOOR            waits until the test opens the door (Machine.Let); can be interrupted
//	hang               waits for ever and ignores interrupts
//	raise NAME: VALUE  ends the code with an exception
//	exit STATUS        ends the kernel
//	kill SIGNAL        ends the kernel by a signal
//	driver             ends the Spark driver
//	short WHY          Linux kills one of its processes because memory ran out
//	unrecorded WHY     the outcome cannot be written to disk
//	timeless           the outcome will have no valid times

// verdict is how a script ended.
type verdict struct {
	state      ergane.CalculationState
	reason     string
	unrecorded string
	timeless   bool
}

type interpreter struct {
	p    *process
	b    *block
	line int
}

// run returns at the end of the script, or some time after that of the kernel.
func (i *interpreter) run() verdict {
	v := verdict{state: ergane.CalculationCompleted}
	for text := range strings.Lines(i.b.code) {
		i.line++
		verb, arg, _ := strings.Cut(strings.TrimSuffix(text, "\n"), " ")
		switch verb {
		case "unrecorded":
			v.unrecorded = arg
			return v
		case "timeless":
			v.timeless = true
			continue
		}
		if end := i.step(verb, arg); end != nil {
			return *end
		}
	}
	return v
}

// step runs a line; it returns nil if the script goes on.
func (i *interpreter) step(verb, arg string) *verdict {
	switch verb {
	case "", "#":
	case "print":
		i.p.write(ergane.Stdout, []byte(arg+"\n"))
	case "warn":
		i.p.write(ergane.Stderr, []byte(arg+"\n"))
	case "fill":
		n, _ := strconv.Atoi(arg)
		i.p.write(ergane.Stdout, bytes.Repeat([]byte("x"), n))
	case "show":
		i.p.mu.Lock()
		i.b.outputs = append(i.b.outputs, arg+"\n"...)
		i.p.mu.Unlock()
	case "sleep":
		d, err := time.ParseDuration(arg)
		if err != nil {
			return i.raise("ValueError", err.Error())
		}
		t := time.NewTimer(d)
		defer t.Stop()
		return wait(i, t.C)
	case "at":
		d := i.p.m.door(arg)
		d.reach.Do(func() { close(d.reached) })
		return wait(i, d.open)
	case "hang":
		<-i.p.gone
	case "raise":
		name, value, _ := strings.Cut(arg, ": ")
		return i.raise(name, value)
	case "exit":
		n, _ := strconv.Atoi(arg)
		i.p.end(ergane.Exit{Known: true, Code: n})
	case "kill":
		n, _ := strconv.Atoi(arg)
		i.p.end(ergane.Exit{Known: true, Signal: n})
	case "short":
		i.p.mu.Lock()
		i.p.killed, i.p.shortage = i.p.killed+1, arg
		i.p.mu.Unlock()
	case "driver":
		i.p.endDriver()
	default:
		return i.raise("SyntaxError", "invalid syntax: "+verb)
	}
	return nil
}

func (i *interpreter) raise(name, value string) *verdict {
	i.p.write(ergane.Stderr, fmt.Appendf(nil, "  File \"<stdin>\", line %d, in <module>\n%s: %s\n", i.line, name, value))
	return &verdict{state: ergane.CalculationFailed, reason: name + ": " + value}
}

// wait waits for one of Go's channels, the interrupt, or the kernel's end.
func wait[T any](i *interpreter, ch <-chan T) *verdict {
	select { // an earlier interrupt wins, as with a real kernel
	case <-i.b.interrupt:
		return &verdict{state: ergane.CalculationCanceled}
	default:
	}
	select {
	case <-ch:
		return nil
	case <-i.b.interrupt:
		return &verdict{state: ergane.CalculationCanceled}
	case <-i.p.gone:
		return &verdict{}
	}
}
