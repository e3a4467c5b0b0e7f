package sandbox

import (
	"context"
	"errors"
	"os/exec"
	"slices"
	"time"

	"golang.org/x/sys/unix"
)

// pauses are those before the layers are tried again: a machine that is busy
// or short of something now is not one without the layer.
var pauses = []time.Duration{250 * time.Millisecond, 500 * time.Millisecond, time.Second, 2 * time.Second}

// againFor bounds the time in which another try is begun: those that hang take theirs.
const againFor = time.Minute

// repeat tries the layers until nothing speaks for another try. What the last
// one found holds, as a whole: layers are tried together as they will be put on.
func (t *trial) repeat(ctx context.Context) Layers {
	begun := time.Now()
	for _, pause := range pauses {
		l := t.run(ctx)
		doubtful := l.doubtful(t.Expected)
		if len(doubtful) == 0 || ctx.Err() != nil || time.Since(begun) > againFor {
			return l
		}
		if t.Again != nil {
			t.Again(doubtful, l)
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return l
		}
	}
	return t.run(ctx)
}

// doubtful are the layers that do not work and may all the same: they are
// expected to, or failed of what passes.
func (l Layers) doubtful(expected []string) []string {
	return slices.DeleteFunc(l.Missing(Names), func(name string) bool {
		return !slices.Contains(expected, name) && !l.Named(name).passes
	})
}

// errPasses marks what failed of something that may be over in a moment.
var errPasses = errors.New("the machine is busy or short of resources")

// passes tells whether what failed may work in a moment.
func passes(err error) bool {
	if errors.Is(err, errPasses) {
		return true
	}
	if ended := new(exec.ExitError); errors.As(err, &ended) {
		// Killed, for want of memory perhaps, or ended before the stage could say why.
		return ended.ExitCode() != stageFailed
	}
	return slices.ContainsFunc([]error{unix.EAGAIN, unix.EINTR, unix.ENOMEM, unix.EMFILE, unix.ENFILE}, func(e error) bool {
		return errors.Is(err, e)
	})
}

func layer(err error) Layer {
	if err != nil {
		return Layer{Why: err.Error(), passes: passes(err)}
	}
	return Layer{Active: true}
}
