package session

import (
	"context"
	"fmt"
	"time"

	"github.com/ergane-dev/ergane"
)

// The start of a session waits for three things: for installations, for its
// turn, and for its kernel. Each has its own limit, and the reason of a session
// that did not start says which it was.
const (
	installFor = time.Hour
	turnFor    = 30 * time.Minute
)

// downloadingStarts is how many turns there are for starts that download, for each turn of other starts.
const downloadingStarts = 4

// starts are the turns in which kernels start. A start that downloads jars waits
// for the network most of its time, so it does not take the turn of one that
// needs only this machine.
type starts struct{ plain, downloading chan struct{} }

func newStarts(n int) starts {
	return starts{plain: make(chan struct{}, n), downloading: make(chan struct{}, downloadingStarts*n)}
}

// turn waits until a session may start; done ends its turn.
func (s starts) turn(ctx context.Context, downloads bool) (done func(), err error) {
	turns := s.plain
	if downloads {
		turns = s.downloading
	}
	ctx, cancel := context.WithTimeoutCause(ctx, turnFor,
		fmt.Errorf("the session did not get its turn to start within %s: other sessions were starting all the time", turnFor))
	defer cancel()
	select {
	case turns <- struct{}{}:
		return func() { <-turns }, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// prepare waits until what the session's kernel needs is installed.
func (r *runner) prepare(ctx context.Context, s ergane.Session) error {
	ctx, cancel := context.WithTimeoutCause(ctx, installFor, fmt.Errorf("what the session needs was not installed within %s", installFor))
	defer cancel()
	err := r.m.host.Prepare(ctx, s)
	if err != nil && ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

// inTime bounds the start of a kernel, from its turn until it is ready.
func (m *Manager) inTime(ctx context.Context) (context.Context, context.CancelFunc) {
	most := m.cfg.MaxStart
	return context.WithTimeoutCause(ctx, most,
		fmt.Errorf("the session's kernel was not ready within %s (serve --max-start-time); the driver's log shows what it waited for", most))
}
