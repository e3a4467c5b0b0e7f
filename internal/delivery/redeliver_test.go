package delivery_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"maps"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ergane-dev/ergane"
	"github.com/ergane-dev/ergane/internal/delivery"
	"github.com/ergane-dev/ergane/internal/store"
	"github.com/ergane-dev/ergane/internal/testkit/fakehost"
)

const (
	sid = "0196a1e4-0000-7000-8000-000000000001"
	cid = "0196a1e4-0000-7000-8000-00000000000c"
)

// spool is what a session left: "late\n" on stdout, from the offset 5 on, by its only calculation.
type spool struct {
	mu       sync.Mutex
	fault    error                          // of reading; guarded by mu
	released map[ergane.Stream]ergane.Range // guarded by mu
	removed  []string                       // guarded by mu
}

const stdout = "told\nlate\n"

func (s *spool) reading() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.fault
}

func (s *spool) fail(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fault = err
}

func (s *spool) open(string) (delivery.Spool, error) { return s, s.reading() }

func (s *spool) Outcome(string) (ergane.Outcome, bool, error) { return ergane.Outcome{}, false, nil }

func (s *spool) Started(string) (time.Time, int64, int64, bool, error) {
	return time.Unix(1, 0), 5, 0, true, nil
}

func (s *spool) Size(stream ergane.Stream) (int64, error) {
	if stream == ergane.Stderr {
		return 0, nil
	}
	return int64(len(stdout)), nil
}

func (s *spool) Section(stream ergane.Stream, r ergane.Range) (delivery.Section, error) {
	return section{bytes.NewReader([]byte(stdout[r.Start:r.End]))}, nil
}

func (s *spool) Outputs(string, int64) (delivery.Section, error) { return delivery.Nothing, nil }

func (s *spool) Release(stream ergane.Stream, r ergane.Range) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.released[stream] = r
	return nil
}

func (s *spool) Remove(id string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.removed = append(s.removed, id)
	return nil
}

func (s *spool) Close() error { return nil }

type section struct{ *bytes.Reader }

func (s section) Len() int64   { return s.Size() }
func (s section) Close() error { return nil }

// files has one spool.
type files struct {
	delivery.Files
	spool *spool
}

func (f files) Spool(id string) (delivery.Spool, error) { return f.spool.open(id) }

// watcher is a Sessions without live ones, and a Meter.
type watcher struct {
	mu     sync.Mutex
	counts map[string]int // guarded by mu
	over   []string       // guarded by mu
}

func (w *watcher) count(what string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.counts[what]++
}

func (w *watcher) Live(string) bool            { return false }
func (w *watcher) CountPut(kind string)        { w.count("put " + kind) }
func (w *watcher) CountRedelivery(kind string) { w.count("redelivery " + kind) }

func (w *watcher) DeliveryOver(_ context.Context, p ergane.PendingDelivery) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.over = append(w.over, p.ID)
}

// pending is a server's state in which a calculation of an ended session is still to be delivered.
type pending struct {
	*testing.T
	db     *store.Store
	bucket *fakehost.Bucket
	spool  *spool
	*watcher
}

// withPending runs a test with a Deliverer at work, in a bubble of its own time.
func withPending(t *testing.T, undelivered ergane.Undelivered, before, test func(*pending)) {
	t.Helper()
	t.Parallel()
	path := filepath.Join(t.TempDir(), "ergane.db")
	synctest.Test(t, func(t *testing.T) {
		p := &pending{T: t, bucket: fakehost.NewBucket(), spool: &spool{released: map[ergane.Stream]ergane.Range{}}, watcher: &watcher{counts: map[string]int{}}}
		p.prepare(path, undelivered)
		defer p.db.Close()
		before(p)
		d := delivery.New(delivery.Config{RetryFor: time.Minute, MaxOutput: 1 << 20, KeepFor: time.Hour, MaxPending: 10},
			p.db, files{spool: p.spool}, p.bucket.Objects(fakehost.NewPower()), p, p, slog.New(slog.NewTextHandler(t.Output(), nil)))
		ctx, cancel := context.WithCancel(t.Context())
		var running sync.WaitGroup
		running.Go(func() { d.Run(ctx) })
		synctest.Wait()
		test(p)
		cancel()
		running.Wait()
	})
}

func (p *pending) must(err error) {
	p.Helper()
	if err != nil {
		p.Fatal(err)
	}
}

func (p *pending) prepare(path string, undelivered ergane.Undelivered) {
	p.Helper()
	ctx, now := p.Context(), time.Now()
	var err error
	p.db, err = store.Open(ctx, path)
	p.must(err)
	p.must(p.db.CreateWorkGroup(ctx, ergane.WorkGroup{Name: "w", State: ergane.WorkGroupEnabled, CreatedAt: now}))
	_, _, err = p.db.CreateSession(ctx, ergane.Session{ID: sid, WorkGroup: "w", Status: ergane.SessionStatus{StartedAt: now}}, nil, ergane.Limits{})
	p.must(err)
	_, _, err = p.db.MoveSession(ctx, ergane.SessionReady(sid, now))
	p.must(err)
	_, _, err = p.db.Submit(ctx, ergane.Calculation{ID: cid, SessionID: sid, WorkingDirectory: "s3://b/c", Status: ergane.CalculationStatus{SubmittedAt: now}}, nil)
	p.must(err)
	end := ergane.CalculationFails(cid, now, "not stored")
	end.Undelivered = &undelivered
	_, _, _, err = p.db.Settle(ctx, end, ergane.SessionLost(sid, now, "lost"))
	p.must(err)
}

// isOver checks how the calculation ended, and how that is counted.
func (p *pending) isOver(reason string, stored bool, counts map[string]int) {
	p.Helper()
	c, err := p.db.Calculation(p.Context(), cid)
	p.must(err)
	if c.Status.State != ergane.CalculationFailed || c.Status.Reason != reason || (c.Result != nil) != stored {
		p.Errorf("%s (%s), result %v", c.Status.State, c.Status.Reason, c.Result)
	}
	if got, ok := p.bucket.Object("s3://b/c/stdout"); stored != ok || stored && got != "late\n" {
		p.Errorf("stdout is %q (there: %t)", got, ok)
	}
	p.watcher.mu.Lock()
	defer p.watcher.mu.Unlock()
	if !maps.Equal(p.counts, counts) || !slices.Equal(p.over, []string{cid}) {
		p.Errorf("counted %v, over are %v", p.counts, p.over)
	}
	p.spool.mu.Lock()
	defer p.spool.mu.Unlock()
	if !slices.Equal(p.spool.removed, []string{cid}) {
		p.Errorf("removed are the files of %v", p.spool.removed)
	}
}

var (
	late     = ergane.Undelivered{Stdout: ergane.Range{Start: 5, End: 10}}
	nothing  = func(*pending) {}
	once     = map[string]int{"put stored": 3, "redelivery delivered": 1}
	released = map[ergane.Stream]ergane.Range{ergane.Stdout: late.Stdout}
)

func TestAPendingDeliveryNeedsNoLiveSession(t *testing.T) {
	withPending(t, late, nothing, func(p *pending) {
		p.isOver("not stored", true, once)
		if !maps.Equal(p.spool.released, released) {
			p.Errorf("released %v", p.spool.released)
		}
	})
}

func TestOutputThatCouldNotBeReadAtTheEndIsReadAtRedelivery(t *testing.T) {
	withPending(t, ergane.Undelivered{Unread: true}, nothing, func(p *pending) {
		p.isOver("not stored", true, once)
	})
}

func TestRedeliveryIsOneAttemptPerRound(t *testing.T) {
	withPending(t, late, func(p *pending) { p.bucket.FailTimes(1, fakehost.ErrUnreachable) }, func(p *pending) {
		p.watcher.mu.Lock()
		failed := p.counts["put failed"]
		p.watcher.mu.Unlock()
		if failed == 0 {
			p.Fatal("the first round did not fail")
		}
		time.Sleep(2 * time.Minute)
		p.watcher.mu.Lock()
		defer p.watcher.mu.Unlock()
		if p.counts["put retried"] != 0 || p.counts["redelivery delivered"] != 1 {
			p.Errorf("counted %v", p.counts)
		}
	})
}

func TestWhatCannotBeReadNowStaysPendingUntilItExpires(t *testing.T) {
	withPending(t, late, func(p *pending) { p.spool.fail(syscall.EMFILE) }, func(p *pending) {
		time.Sleep(50 * time.Minute)
		if some, err := p.db.HasPendingDelivery(p.Context(), sid); err != nil || !some {
			p.Fatalf("pending: %t, %v", some, err)
		}
		p.spool.fail(nil)
		time.Sleep(20 * time.Minute)
		p.isOver("not stored", true, once)
	})
}

func TestALostSpoolIsDiscardedAtOnce(t *testing.T) {
	gone := errors.Join(delivery.ErrSpool, errors.New("no such folder"))
	withPending(t, late, func(p *pending) { p.spool.fail(gone) }, func(p *pending) {
		c, err := p.db.Calculation(p.Context(), cid)
		p.must(err)
		if want := "not stored; the server has discarded it, because it is lost: " + gone.Error(); c.Status.Reason != want {
			p.Errorf("reason %q", c.Status.Reason)
		}
		if some, err := p.db.HasPendingDelivery(p.Context(), sid); err != nil || some {
			p.Errorf("pending: %t, %v", some, err)
		}
	})
}

func TestAnExpiredDeliveryIsTriedOnceMoreAndDiscarded(t *testing.T) {
	withPending(t, late, func(p *pending) { p.bucket.Fail(func(string) error { return fakehost.ErrDenied }) }, func(p *pending) {
		time.Sleep(2 * time.Hour)
		c, err := p.db.Calculation(p.Context(), cid)
		p.must(err)
		if want := "not stored; the server has discarded it, because the result store did not take it for 1h0m0s"; c.Status.Reason != want {
			p.Errorf("reason %q", c.Status.Reason)
		}
		p.watcher.mu.Lock()
		defer p.watcher.mu.Unlock()
		if p.counts["redelivery expired"] != 1 {
			p.Errorf("counted %v", p.counts)
		}
	})
}
