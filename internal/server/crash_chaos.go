//go:build chaos

package server

import (
	"context"
	"io"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/ergane-dev/ergane"
	"github.com/ergane-dev/ergane/internal/delivery"
	"github.com/ergane-dev/ergane/internal/session"
)

// A crash kills this process, as kill -9 does, around a call by which the
// session manager changes something that outlives it: the store, a kernel, its
// files, the objects. ERGANE_CRASH names the call: "Settle.before", "Put.after:3"
// for the third such call.
type crash struct {
	point string
	left  atomic.Int64
}

func newCrash() *crash {
	point, n, _ := strings.Cut(os.Getenv("ERGANE_CRASH"), ":")
	c := &crash{point: point}
	times, err := strconv.ParseInt(n, 10, 64)
	if err != nil {
		times = 1
	}
	c.left.Store(times)
	return c
}

func (c *crash) at(point string) {
	if point == c.point && c.left.Add(-1) == 0 {
		syscall.Kill(os.Getpid(), syscall.SIGKILL)
		select {}
	}
}

// around is deferred with its own result: defer c.around("Settle")().
func (c *crash) around(method string) (after func()) {
	c.at(method + ".before")
	return func() { c.at(method + ".after") }
}

func crashing(store session.Store, host session.Host, objects session.Objects) (session.Store, session.Host, session.Objects) {
	c := newCrash()
	return crashingStore{store, c}, crashingHost{host, c}, crashingObjects{objects, c}
}

type crashingStore struct {
	session.Store
	c *crash
}

func (s crashingStore) CreateSession(ctx context.Context, n ergane.Session, t []ergane.Token, l ergane.Limits) (ergane.Session, bool, error) {
	defer s.c.around("CreateSession")()
	return s.Store.CreateSession(ctx, n, t, l)
}

func (s crashingStore) MoveSession(ctx context.Context, m ergane.SessionMove) (ergane.Session, bool, error) {
	defer s.c.around("MoveSession." + string(m.To))()
	return s.Store.MoveSession(ctx, m)
}

func (s crashingStore) Submit(ctx context.Context, c ergane.Calculation, t []ergane.Token) (ergane.Calculation, bool, error) {
	defer s.c.around("Submit")()
	return s.Store.Submit(ctx, c, t)
}

func (s crashingStore) MoveCalculation(ctx context.Context, m ergane.CalculationMove) (ergane.Calculation, bool, error) {
	defer s.c.around("MoveCalculation." + string(m.To))()
	return s.Store.MoveCalculation(ctx, m)
}

func (s crashingStore) Settle(ctx context.Context, c ergane.CalculationMove, m ergane.SessionMove) (ergane.Calculation, ergane.Session, bool, error) {
	defer s.c.around("Settle")()
	return s.Store.Settle(ctx, c, m)
}

func (s crashingStore) SaveExecutors(ctx context.Context, es []ergane.Executor) error {
	defer s.c.around("SaveExecutors")()
	return s.Store.SaveExecutors(ctx, es)
}

func (s crashingStore) EndExecutors(ctx context.Context, id string, to ergane.ExecutorState, at time.Time) error {
	defer s.c.around("EndExecutors")()
	return s.Store.EndExecutors(ctx, id, to, at)
}

type crashingHost struct {
	session.Host
	c *crash
}

func (h crashingHost) Start(ctx context.Context, s ergane.Session) (session.Kernel, error) {
	defer h.c.around("Start")()
	return h.kernel(h.Host.Start(ctx, s))
}

func (h crashingHost) StartAhead(ctx context.Context, like ergane.Session, shape string) (session.Kernel, error) {
	defer h.c.around("StartAhead")()
	return h.kernel(h.Host.StartAhead(ctx, like, shape))
}

func (h crashingHost) Adopt(ctx context.Context, id string) (session.Kernel, error) {
	defer h.c.around("Adopt")()
	return h.kernel(h.Host.Adopt(ctx, id))
}

func (h crashingHost) Spool(id string) (delivery.Spool, error) {
	s, err := h.Host.Spool(id)
	if err != nil {
		return nil, err
	}
	return crashingSpool{s, h.c}, nil
}

func (h crashingHost) Discard(id string) error {
	defer h.c.around("Discard")()
	return h.Host.Discard(id)
}

func (h crashingHost) kernel(k session.Kernel, err error) (session.Kernel, error) {
	if err != nil {
		return nil, err
	}
	return crashingKernel{k, h.c}, nil
}

type crashingKernel struct {
	session.Kernel
	c *crash
}

func (k crashingKernel) Ready(ctx context.Context) error {
	defer k.c.around("Ready")()
	return k.Kernel.Ready(ctx)
}

func (k crashingKernel) Claim(ctx context.Context, s ergane.Session) error {
	defer k.c.around("Claim")()
	return k.Kernel.Claim(ctx, s)
}

func (k crashingKernel) Exec(ctx context.Context, id, code string) error {
	defer k.c.around("Exec")()
	return k.Kernel.Exec(ctx, id, code)
}

func (k crashingKernel) Wait(ctx context.Context, id string) (ergane.Outcome, error) {
	defer k.c.around("Wait")()
	return k.Kernel.Wait(ctx, id)
}

func (k crashingKernel) Interrupt(ctx context.Context, id string) error {
	defer k.c.around("Interrupt")()
	return k.Kernel.Interrupt(ctx, id)
}

func (k crashingKernel) Shutdown(ctx context.Context, grace time.Duration) ergane.Exit {
	defer k.c.around("Shutdown")()
	return k.Kernel.Shutdown(ctx, grace)
}

type crashingSpool struct {
	delivery.Spool
	c *crash
}

func (s crashingSpool) Release(stream ergane.Stream, r ergane.Range) error {
	defer s.c.around("Release")()
	return s.Spool.Release(stream, r)
}

type crashingObjects struct {
	session.Objects
	c *crash
}

func (o crashingObjects) Put(ctx context.Context, uri string, body io.ReaderAt, size int64, contentType string, d ergane.Delivery) error {
	defer o.c.around("Put")()
	return o.Objects.Put(ctx, uri, body, size, contentType, d)
}
