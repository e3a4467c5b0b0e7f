package kernel

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"time"
)

// A link keeps one connection to the kernel, and makes it again whenever it is
// lost. A kernel that runs C code does not answer as long as that takes, so
// a kernel without an answer is never taken for dead here.
type link struct {
	dial   func(context.Context) (net.Conn, error)
	token  string
	epochs *epochs
	event  func(frame) // called by the reader; must not block
	log    *slog.Logger

	greeted chan struct{} // closed after the first hello
	quit    chan struct{} // closed by stop
	ended   chan struct{} // closed when run has returned

	mu      sync.Mutex
	open    net.Conn             // from dial on; guarded by mu
	conn    net.Conn             // after hello; guarded by mu
	changed chan struct{}        // closed and replaced when conn changes; guarded by mu
	n       int64                // last order's number; guarded by mu
	waiting map[int64]chan frame // orders without an answer; guarded by mu
	closing bool                 // no more connections; guarded by mu
	err     error                // why run has returned; guarded by mu

	writing sync.Mutex // held while an order goes out
}

var errLost = errors.New("the connection to the kernel was lost")

func newLink(dial func(context.Context) (net.Conn, error), token string, e *epochs, event func(frame), log *slog.Logger) *link {
	return &link{
		dial: dial, token: token, epochs: e, event: event, log: log,
		greeted: make(chan struct{}), quit: make(chan struct{}), ended: make(chan struct{}), changed: make(chan struct{}),
		waiting: map[int64]chan frame{},
	}
}

const (
	shortPause = 2 * time.Millisecond
	startPause = 20 * time.Millisecond // longest between attempts until the first hello
	longPause  = time.Second           // longest afterwards
	writeLimit = 5 * time.Second       // for an order of a hundred bytes
	helloLimit = time.Minute           // for an answer, before the next attempt
)

// run connects and reconnects until ctx ends, stop is called, or another server takes the kernel over.
func (l *link) run(ctx context.Context) {
	defer close(l.ended)
	wait := shortPause
	for {
		began := time.Now()
		err := l.connect(ctx)
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		l.mu.Lock()
		_, other := errors.AsType[*versionError](err)
		over := ctx.Err() != nil || l.closing || errors.Is(err, ErrFenced) || other
		if over {
			l.err = err
		}
		l.mu.Unlock()
		if over {
			if errors.Is(err, ErrFenced) {
				l.log.Warn("another server has taken over the kernel")
			}
			return
		}
		l.log.Debug("no connection to the kernel", "error", err)
		if time.Since(began) > longPause {
			wait = shortPause
		}
		pause(ctx, wait, l.quit)
		wait = min(2*wait, longPause)
		select {
		case <-l.greeted:
		default:
			wait = min(wait, startPause)
		}
	}
}

// connect makes one connection, says hello, and reads until the connection ends.
func (l *link) connect(ctx context.Context) error {
	conn, err := l.dial(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	l.mu.Lock()
	l.open = conn
	closing := l.closing
	conn.SetReadDeadline(time.Now().Add(helloLimit))
	l.mu.Unlock()
	if closing {
		return errLost
	}
	defer l.disconnected()

	frames := newFrameReader(conn)
	if err := l.hello(conn, frames); err != nil {
		return err
	}
	l.mu.Lock()
	if !l.closing {
		conn.SetReadDeadline(time.Time{})
	}
	l.conn = conn
	close(l.changed)
	l.changed = make(chan struct{})
	l.mu.Unlock()
	select {
	case <-l.greeted:
	default:
		close(l.greeted)
	}
	for {
		f, err := frames.next()
		if err != nil {
			return err
		}
		if f.Ev != "" {
			l.event(f)
			continue
		}
		l.mu.Lock()
		answer := l.waiting[f.Re]
		delete(l.waiting, f.Re)
		l.mu.Unlock()
		if answer != nil {
			answer <- f
		}
	}
}

func (l *link) hello(conn net.Conn, frames *frameReader) error {
	l.mu.Lock()
	l.n++
	n := l.n
	l.mu.Unlock()
	hello := order{Op: "hello", N: n, V: protocolVersion, Token: l.token, Epoch: l.epochs.next()}
	if err := send(conn, hello); err != nil {
		return err
	}
	for {
		f, err := frames.next()
		switch {
		case err != nil:
			return fmt.Errorf("hello: %w", err)
		case f.Re != n:
			continue
		case f.Err == "epoch":
			return ErrFenced
		case f.Err == "version":
			return &versionError{fmt.Sprintf("it does not speak version %d of the protocol", protocolVersion)}
		case f.Err != "":
			return fmt.Errorf("hello: the kernel answers %q", clip(f.Err, 100))
		case f.V != protocolVersion:
			return &versionError{fmt.Sprintf("it speaks version %d of the protocol, not %d", f.V, protocolVersion)}
		}
		l.event(f) // what happened before the hello has to be read from the files now
		return nil
	}
}

func (l *link) disconnected() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.open, l.conn = nil, nil
	for n, answer := range l.waiting {
		delete(l.waiting, n)
		close(answer)
	}
}

// unknown is the error with which run has returned if it is a versionError; nil otherwise.
func (l *link) unknown() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if e, ok := errors.AsType[*versionError](l.err); ok {
		return e
	}
	return nil
}

// stop ends run after the kernel's death: what the kernel sent last is still
// read, for at most the time given. It is called once.
func (l *link) stop(within time.Duration) {
	l.mu.Lock()
	l.closing = true
	close(l.quit)
	if l.open != nil {
		l.open.SetReadDeadline(time.Now().Add(within))
	}
	l.mu.Unlock()
	<-l.ended
}

// call sends an order until it is answered or ctx ends. Every order can be
// repeated without harm, so a lost connection is no error.
func (l *link) call(ctx context.Context, o order) (frame, error) {
	for {
		conn, err := l.connected(ctx)
		if err != nil {
			return frame{}, err
		}
		f, err := l.ask(ctx, conn, o)
		if !errors.Is(err, errLost) {
			return f, err
		}
	}
}

// connected waits for a connection.
func (l *link) connected(ctx context.Context) (net.Conn, error) {
	for {
		l.mu.Lock()
		conn, changed := l.conn, l.changed
		l.mu.Unlock()
		if conn != nil {
			return conn, nil
		}
		select {
		case <-changed:
		case <-l.ended:
			l.mu.Lock()
			defer l.mu.Unlock()
			return nil, l.err
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

func (l *link) ask(ctx context.Context, conn net.Conn, o order) (frame, error) {
	answer := make(chan frame, 1)
	l.mu.Lock()
	if l.conn != conn {
		l.mu.Unlock()
		return frame{}, errLost
	}
	l.n++
	n := l.n
	l.waiting[n] = answer
	l.mu.Unlock()
	defer func() {
		l.mu.Lock()
		delete(l.waiting, n)
		l.mu.Unlock()
	}()

	o.N = n
	l.writing.Lock()
	err := send(conn, o)
	l.writing.Unlock()
	if err != nil {
		conn.Close() // a part of the order may be sent: what follows it would be misread
	}
	select {
	case f, ok := <-answer:
		if !ok {
			return frame{}, errLost
		}
		return f, nil
	case <-ctx.Done():
		return frame{}, context.Cause(ctx)
	}
}

func send(conn net.Conn, o order) error {
	b, err := json.Marshal(o)
	if err != nil {
		return err
	}
	conn.SetWriteDeadline(time.Now().Add(writeLimit))
	_, err = conn.Write(append(b, '\n'))
	return err
}
