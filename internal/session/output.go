package session

import (
	"context"
	"io"
	"time"

	"github.com/ergane-dev/ergane"
	"github.com/ergane-dev/ergane/internal/delivery"
)

const (
	// tailEvery is how often a running calculation's spool is looked at.
	tailEvery = 50 * time.Millisecond
	tailChunk = 256 << 10
)

// Output writes what a calculation has printed to a stream, from a byte offset
// on, as it comes, until the calculation has ended; it returns the calculation as it ended. write gets every piece once,
// in order, and must not keep it.
func (m *Manager) Output(ctx context.Context, id string, stream ergane.Stream, from int64, write func([]byte) error) (ergane.Calculation, error) {
	t := &tail{m: m, id: id, stream: stream, from: from, write: write, buf: make([]byte, tailChunk)}
	for {
		c, err := m.store.Calculation(ctx, id)
		if err != nil {
			return c, err
		}
		if c.Status.State.Terminal() {
			return c, t.stored(ctx, c)
		}
		more, err := t.spooled(ctx, c)
		if err == nil && !more {
			err = m.nextOutput(ctx, id)
		}
		if err != nil {
			return c, err
		}
	}
}

// nextOutput waits until it is worth looking for output again.
func (m *Manager) nextOutput(ctx context.Context, id string) error {
	moved := m.hub.watch(id) // a move just before costs one tick, no more
	defer m.hub.unwatch(id, moved)
	select {
	case <-moved:
	case <-time.After(tailEvery):
	case <-m.closing:
		return errServerStops
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	return nil
}

// tail is one reader of a calculation's stream.
type tail struct {
	m      *Manager
	id     string
	stream ergane.Stream
	from   int64
	write  func([]byte) error
	buf    []byte
}

// spooled writes the next piece of a running calculation; false where there is none yet.
func (t *tail) spooled(ctx context.Context, c ergane.Calculation) (bool, error) {
	spool, err := t.m.host.Spool(c.SessionID)
	if err != nil {
		return false, nil // no kernel yet, or none any more: the state will tell
	}
	defer spool.Close()
	_, stdout, stderr, ok, err := spool.Started(t.id)
	if !ok || err != nil {
		return false, nil // the next look tells
	}
	at := map[ergane.Stream]int64{ergane.Stdout: stdout, ergane.Stderr: stderr}[t.stream]
	r, err := delivery.Since(spool, t.stream, at)
	out, ended, unread := spool.Outcome(t.id)
	if err != nil || unread != nil {
		return false, nil
	}
	if ended { // what comes after it is not this calculation's
		r = out.Printed(t.stream)
	}
	r.Start += t.from
	r.End = min(r.End, r.Start+tailChunk)
	if r.Len() <= 0 {
		return false, nil
	}
	s, err := spool.Section(t.stream, r)
	if err != nil {
		return false, nil
	}
	defer s.Close()
	n, _ := s.ReadAt(t.buf[:r.Len()], 0)
	// Delivered output is cut out of the spool and reads as zeros: believe
	// what was read only if the calculation has not ended meanwhile.
	if c, err := t.m.store.Calculation(ctx, t.id); err != nil || c.Status.State.Terminal() {
		return err == nil, err
	}
	if n == 0 {
		return false, nil
	}
	t.from += int64(n)
	return true, t.write(t.buf[:n])
}

// stored writes the remainder from the calculation's object.
func (t *tail) stored(ctx context.Context, c ergane.Calculation) error {
	if c.Result == nil {
		return nil
	}
	body, err := t.m.objects.Get(ctx, c.Result.URI(t.stream), t.from)
	if err != nil {
		return err
	}
	defer body.Close()
	for {
		n, err := body.Read(t.buf)
		if n > 0 {
			t.from += int64(n)
			if werr := t.write(t.buf[:n]); werr != nil {
				return werr
			}
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}
