package session

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/ergane-dev/ergane"
)

const (
	// payEvery is how often what is owed is looked for.
	payEvery = 30 * time.Second
	// payAtMost is how far apart the attempts at one debt become.
	payAtMost = 10 * time.Minute
	// payAtOnce is how many buckets are tried at once: a put into one that
	// hangs takes its time.
	payAtOnce = 16
)

// A due is what the result store has not got yet, and could have at last.
type due struct {
	id  string // of the calculation, or of the session whose log it is
	uri string // below which it goes
	// pay tries once. An error says that it is due still.
	pay func(context.Context) error
	// giveUp is set for what has been due for too long: it is not called before
	// the bucket has had a last chance.
	giveUp func(context.Context) error
}

func (d due) bucket() string {
	bucket, _, _ := strings.Cut(strings.TrimPrefix(d.uri, "s3://"), "/")
	return bucket
}

// place is what the sessions of one output location have in common: who may
// write there, and how.
func (d due) place() string {
	place, _, _ := strings.Cut(d.uri, "/session/")
	return place
}

// A payer delivers what is due, each bucket by itself: one that is away holds
// up no other.
type payer struct {
	m       *Manager
	running sync.WaitGroup

	mu    sync.Mutex
	waits map[string]wait // of what could not be paid, by id; guarded by mu
	busy  map[string]bool // buckets that are being tried; guarded by mu
}

type wait struct {
	bucket string
	pause  time.Duration
	until  time.Time
}

// payDebts delivers what could not be delivered when its calculation or its
// session ended, until it can, or Config.OweFor is over. The session's files
// stay so long.
func (m *Manager) payDebts() {
	p := payer{m: m, waits: map[string]wait{}, busy: map[string]bool{}}
	defer p.running.Wait()
	for {
		dues, err := m.dues(m.ctx)
		if err == nil {
			p.start(dues)
		} else if m.ctx.Err() == nil {
			m.log.Warn("cannot look for what is owed", "error", err)
		}
		if !pause(m.ctx, payEvery) {
			return
		}
	}
}

// start sets the buckets going whose turn it is.
func (p *payer) start(dues []due) {
	p.mu.Lock()
	defer p.mu.Unlock()
	left, now := map[string]bool{}, time.Now()
	turns := map[string][]due{}
	for _, d := range dues {
		left[d.id] = true
		if bucket := d.bucket(); !p.busy[bucket] && (d.giveUp != nil || !now.Before(p.waits[d.id].until)) {
			turns[bucket] = append(turns[bucket], d)
		}
	}
	for id := range p.waits {
		if !left[id] {
			delete(p.waits, id) // it was written off, or went with its workgroup
		}
	}
	for bucket, dues := range turns {
		if len(p.busy) >= payAtOnce {
			return // in a map's order, so that each has its turn
		}
		p.busy[bucket] = true
		p.running.Go(func() {
			p.pay(p.m.ctx, dues)
			p.mu.Lock()
			defer p.mu.Unlock()
			delete(p.busy, bucket)
		})
	}
}

// pay tries what is due to one bucket, until that proves to be away.
func (p *payer) pay(ctx context.Context, dues []due) {
	away, refused := false, map[string]bool{} // the places
	for _, d := range dues {
		if !away && !refused[d.place()] {
			err := d.pay(ctx)
			if err == nil {
				p.paid(d)
				continue
			}
			p.failed(d)
			if p.m.objects.Permanent(err) {
				refused[d.place()] = true
			} else {
				away = true
			}
		}
		if ctx.Err() != nil {
			return
		}
		if d.giveUp != nil {
			_ = d.giveUp(ctx) // the next round tries again
		}
	}
}

// paid ends the waits for a bucket that is back.
func (p *payer) paid(d due) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for id, w := range p.waits {
		if w.bucket == d.bucket() {
			w.until = time.Time{}
			p.waits[id] = w
		}
	}
	delete(p.waits, d.id)
}

func (p *payer) failed(d due) {
	p.mu.Lock()
	defer p.mu.Unlock()
	pause := min(max(2*p.waits[d.id].pause, payEvery), payAtMost)
	p.waits[d.id] = wait{d.bucket(), pause, time.Now().Add(pause)}
}

// dues are what is owed, the oldest first, but for what is too much.
func (m *Manager) dues(ctx context.Context) ([]due, error) {
	debts, err := m.store.Debts(ctx)
	if err != nil {
		return nil, err
	}
	slices.SortStableFunc(debts, func(a, b ergane.Debt) int {
		return cmp.Or(a.Status.CompletedAt.Compare(b.Status.CompletedAt), cmp.Compare(a.ID, b.ID))
	})
	var dues []due
	for _, d := range m.withinBounds(ctx, debts) {
		one := due{id: d.ID, uri: d.WorkingDirectory, pay: func(ctx context.Context) error { return m.pay(ctx, d) }}
		if time.Since(d.Status.CompletedAt) > m.cfg.OweFor {
			one.giveUp = func(ctx context.Context) error {
				return m.writeOff(ctx, d, debtExpired, fmt.Sprintf("the result store did not take it for %s", m.cfg.OweFor))
			}
		}
		dues = append(dues, one)
	}
	return append(dues, m.dueLogs()...), nil
}
