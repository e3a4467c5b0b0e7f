package session

import (
	"context"
	"io"
	"time"

	"github.com/ergane-dev/ergane"
	"github.com/ergane-dev/ergane/internal/delivery"
)

const (
	// tailEvery is how often a running calculation's spool is read.
	tailEvery = 50 * time.Millisecond
	tailChunk = 256 << 10
)

// Output writes what a calculation prints to a stream, from a byte offset on, as
// it is printed, until the calculation has ended; it returns the ended
// calculation. write gets every piece once, in order, and must not keep it.
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

// nextOutput waits until there may be more output.
func (m *Manager) nextOutput(ctx context.Context, id string) error {
	moved := m.hub.watch(id) // a move just before this delays the next read by one tick
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

// tail reads one stream of a calculation for one client.
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
		return false, nil // no kernel yet, or not any more: the calculation's state says which
	}
	defer spool.Close()
	_, stdout, stderr, ok, err := spool.Started(t.id)
	if !ok || err != nil {
		return false, nil // the next call tries again
	}
	at := map[ergane.Stream]int64{ergane.Stdout: stdout, ergane.Stderr: stderr}[t.stream]
	r, err := delivery.Since(spool, t.stream, at)
	out, ended, unread := spool.Outcome(t.id)
	if err != nil || unread != nil {
		return false, nil
	}
	if ended { // the rest of the stream is not this calculation's
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
	// The disk space of delivered output is freed, and it reads as zeros: what
	// was read counts only if the calculation has not ended meanwhile.
	if c, err := t.m.store.Calculation(ctx, t.id); err != nil || c.Status.State.Terminal() {
		return err == nil, err
	}
	if n == 0 {
		return false, nil
	}
	t.from += int64(n)
	return true, t.write(t.buf[:n])
}

// stored writes the rest from the calculation's object in S3.
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
