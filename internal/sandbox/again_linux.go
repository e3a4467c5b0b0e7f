package sandbox

import (
	"context"
	"errors"
	"os/exec"
	"slices"
	"time"

	"golang.org/x/sys/unix"
)

// pauses are the pauses before the layers are tried again: a busy machine, or one
// that is short of resources now, may have the layer in a moment.
var pauses = []time.Duration{250 * time.Millisecond, 500 * time.Millisecond, time.Second, 2 * time.Second}

// retryFor is how long new tries are begun; tries that hang make it this long.
const retryFor = time.Minute

// repeat tries the layers until another try would not help. The result is that of
// the last try alone: layers are tried together, as they will be used.
func (t *trial) repeat(ctx context.Context) Layers {
	begun := time.Now()
	for _, pause := range pauses {
		l := t.run(ctx)
		uncertain := l.uncertain(t.Expected)
		if len(uncertain) == 0 || ctx.Err() != nil || time.Since(begun) > retryFor {
			return l
		}
		if t.Again != nil {
			t.Again(uncertain, l)
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return l
		}
	}
	return t.run(ctx)
}

// uncertain are the layers that failed and may work in another try: they are
// expected to work, or the failure was transient.
func (l Layers) uncertain(expected []string) []string {
	return slices.DeleteFunc(l.Missing(Names), func(name string) bool {
		return !slices.Contains(expected, name) && !l.Named(name).transient
	})
}

// errTransient marks a failure that may be over in a moment.
var errTransient = errors.New("the machine is busy or short of resources")

// isTransient reports whether a failure may be over in a moment.
func isTransient(err error) bool {
	if errors.Is(err, errTransient) {
		return true
	}
	if ended := new(exec.ExitError); errors.As(err, &ended) {
		// Killed, perhaps because memory ran out, or ended before the stage could say why.
		return ended.ExitCode() != stageFailed
	}
	return slices.ContainsFunc([]error{unix.EAGAIN, unix.EINTR, unix.ENOMEM, unix.EMFILE, unix.ENFILE}, func(e error) bool {
		return errors.Is(err, e)
	})
}

func layer(err error) Layer {
	if err != nil {
		return Layer{Why: err.Error(), transient: isTransient(err)}
	}
	return Layer{Active: true}
}
