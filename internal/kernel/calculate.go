package kernel

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/ergane-dev/ergane"
)

const (
	// rereadEvery is how often files are read when no event says that they have changed.
	rereadEvery = time.Second
	// resendEvery is how often an order without an answer is sent again.
	resendEvery = 5 * time.Second
	// maxVerdicts bounds how many outcomes of a kernel the server keeps in memory.
	maxVerdicts = 4
)

// Ready waits until the kernel takes calculations. The error is a
// *SparkError when Spark refused to start, and a *GoneError when the kernel
// ended without an error of Spark's.
func (k *Kernel) Ready(ctx context.Context) error {
	ctx, cancel := k.during(ctx)
	defer cancel()
	for {
		woken, gone := k.pulse.next(), k.gone()
		refusal, err := readDocument(k.spool.root, "ready.json", parseReady)
		switch {
		case err == nil && refusal != nil:
			return refusal
		case gone:
			return whyGone(k.spool, k.exit)
		case err == nil:
			return nil
		}
		if pause(ctx, rereadEvery, woken, k.done); ctx.Err() != nil {
			return context.Cause(ctx)
		}
	}
}

// whyGone is the error of a kernel that ended before it took calculations.
func whyGone(s *Spool, exit ergane.Exit) error {
	if refusal, err := readDocument(s.root, "ready.json", parseReady); err == nil && refusal != nil {
		return refusal
	}
	return &GoneError{Exit: exit}
}

// ReadRefusal is Spark's error if it refused to start in the kernel of a session
// folder; nil if it did not, or if that cannot be read.
func ReadRefusal(dir string) *SparkError {
	spool, err := OpenSpool(dir)
	if err != nil {
		return nil
	}
	defer spool.Close()
	refusal, err := readDocument(spool.root, "ready.json", parseReady)
	if err != nil {
		return nil
	}
	return refusal
}

func (k *Kernel) gone() bool {
	select {
	case <-k.done:
		return true
	default:
		return false
	}
}

// Exec gives the kernel the code of a calculation and returns once the kernel
// has taken it. It waits for a kernel that is not ready, busy with another
// calculation, or too busy to answer, until ctx ends. However often it is
// called, by this server or the next one, the code runs once. The error is a
// *GoneError when the kernel has ended.
func (k *Kernel) Exec(ctx context.Context, id, code string) error {
	if err := k.spool.writeCode(id, code); err != nil {
		return err
	}
	wait := shortPause
	for {
		limited, cancel := context.WithTimeout(ctx, resendEvery)
		f, err := k.call(limited, order{Op: "exec", ID: id})
		late := limited.Err() != nil
		cancel()
		switch {
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case err != nil && late && errors.Is(err, context.DeadlineExceeded):
			if k.seen(id) {
				return nil
			}
			continue
		case err != nil:
			return err
		case f.Err == "busy", f.Err == "not ready":
		case f.Err != "":
			return fmt.Errorf("the kernel refuses the calculation: %q", clip(f.Err, 100))
		case f.State == "accepted", f.State == "running", f.State == "done":
			return nil
		default:
			return fmt.Errorf("the kernel answers exec with the state %q", clip(f.State, 32))
		}
		pause(ctx, wait, k.pulse.next(), k.done)
		wait = min(2*wait, 100*time.Millisecond)
	}
}

// seen reports whether the kernel has written a file of the calculation.
func (k *Kernel) seen(id string) bool {
	if _, ok, _ := k.spool.Started(id); ok {
		return true
	}
	_, ok, _ := k.spool.Outcome(id)
	return ok
}

// Started returns when the kernel began to run a calculation; false if it did not.
func (k *Kernel) Started(id string) (time.Time, bool) {
	s, ok, err := k.spool.Started(id)
	return s.At, ok && err == nil
}

// Wait returns a calculation's outcome as soon as it is on disk. If the kernel
// died without one, the error is a *GoneError that says whether the code had
// started; if the kernel says that the calculation has ended and its file is
// invalid, it is a *DocumentError.
func (k *Kernel) Wait(ctx context.Context, id string) (ergane.Outcome, error) {
	ctx, cancel := k.during(ctx)
	defer cancel()
	for {
		woken, gone := k.pulse.next(), k.gone()
		o, ok, err := k.spool.Outcome(id)
		switch {
		case ok:
			return o, nil
		case gone:
			return k.lastWord(id)
		case Unread(err): // whether it is there is known after the next attempt
		case err != nil && !k.Runs(ctx, id):
			if o, ok, err := k.spool.Outcome(id); ok || err != nil && !Unread(err) {
				return o, err
			}
		}
		if pause(ctx, rereadEvery, woken, k.done); ctx.Err() != nil {
			return ergane.Outcome{}, context.Cause(ctx)
		}
	}
}

// Runs reports whether the kernel has taken the calculation and not ended it. It
// is true, too, if the kernel does not answer within a second: it may run C code.
func (k *Kernel) Runs(ctx context.Context, id string) bool {
	limited, cancel := context.WithTimeout(ctx, rereadEvery)
	defer cancel()
	f, err := k.call(limited, order{Op: "ping"})
	return err != nil || f.Current == id
}

func (k *Kernel) lastWord(id string) (ergane.Outcome, error) {
	k.mu.Lock()
	o, ok := k.verdicts[id]
	k.mu.Unlock()
	if ok {
		return o, nil
	}
	_, started, _ := k.spool.Started(id)
	return ergane.Outcome{}, &GoneError{Exit: k.exit, Started: started}
}

// keepVerdict keeps an outcome that the kernel could not write to disk. It
// counts only once the kernel has ended, which it does after such a failure.
func (k *Kernel) keepVerdict(f frame) {
	var d outcomeDocument
	if json.Unmarshal(f.line, &d) != nil || d.Unrecorded == "" || validID(d.ID) != nil {
		return
	}
	o, err := d.outcome(d.ID)
	if err != nil {
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if len(k.verdicts) < maxVerdicts {
		k.verdicts[d.ID] = o
	}
}
