package delivery

import (
	"context"
	"strings"
	"sync"
	"time"
)

const (
	// redeliverEvery is the pause between queries for what is pending.
	redeliverEvery = 30 * time.Second
	// redeliverAtMost is the longest pause between two attempts at one item.
	redeliverAtMost = 10 * time.Minute
	// bucketsAtOnce is how many buckets are tried at once: a put into a bucket
	// that hangs takes long.
	bucketsAtOnce = 16
)

// An item is what the result store does not have yet: the objects of a
// calculation, or the log of a session.
type item struct {
	id  string // of the calculation, or of the session whose log it is
	uri string // where its objects go: an s3:// address, or a prefix
	// deliver tries once. After an error the item is still pending.
	deliver func(context.Context) error
	// discard is set for an item that has been pending for too long: it is
	// called after a last attempt.
	discard func(context.Context) error
}

func (i item) bucket() string {
	bucket, _, _ := strings.Cut(strings.TrimPrefix(i.uri, "s3://"), "/")
	return bucket
}

// place is the output location: permissions to write are the same for all
// sessions of one.
func (i item) place() string {
	place, _, _ := strings.Cut(i.uri, "/session/")
	return place
}

// A queue redelivers to each bucket separately: one that is unreachable delays no other.
type queue struct {
	d       *Deliverer
	running sync.WaitGroup

	mu    sync.Mutex
	waits map[string]wait // of items that could not be delivered, by id; guarded by mu
	busy  map[string]bool // buckets that are being tried; guarded by mu
}

type wait struct {
	bucket string
	pause  time.Duration
	until  time.Time
}

// Run redelivers what could not be delivered when a calculation or session
// ended, and tries again until that succeeds or Config.KeepFor is over. The
// session's files stay until then. It returns when ctx ends.
func (d *Deliverer) Run(ctx context.Context) {
	q := queue{d: d, waits: map[string]wait{}, busy: map[string]bool{}}
	defer q.running.Wait()
	for {
		items, err := d.pending(ctx)
		if err == nil {
			q.start(ctx, append(items, d.pendingLogs()...))
		} else if ctx.Err() == nil {
			d.log.Warn("cannot look for pending deliveries", "error", err)
		}
		if !pause(ctx, redeliverEvery) {
			return
		}
	}
}

// start starts a delivery for each bucket with items that are due.
func (q *queue) start(ctx context.Context, items []item) {
	q.mu.Lock()
	defer q.mu.Unlock()
	left, now := map[string]bool{}, time.Now()
	turns := map[string][]item{}
	for _, i := range items {
		left[i.id] = true
		if bucket := i.bucket(); !q.busy[bucket] && (i.discard != nil || !now.Before(q.waits[i.id].until)) {
			turns[bucket] = append(turns[bucket], i)
		}
	}
	for id := range q.waits {
		if !left[id] {
			delete(q.waits, id) // it was discarded, or deleted with its workgroup
		}
	}
	for bucket, items := range turns {
		if len(q.busy) >= bucketsAtOnce {
			return // the order of a map is random, so every bucket has its turn
		}
		q.busy[bucket] = true
		q.running.Go(func() {
			q.deliver(ctx, items)
			q.mu.Lock()
			defer q.mu.Unlock()
			delete(q.busy, bucket)
		})
	}
}

// deliver tries the items of one bucket, until the bucket turns out to be unreachable.
func (q *queue) deliver(ctx context.Context, items []item) {
	unreachable, refused := false, map[string]bool{} // refused places
	for _, i := range items {
		if !unreachable && !refused[i.place()] {
			err := i.deliver(ctx)
			if err == nil {
				q.delivered(i)
				continue
			}
			q.failed(i)
			if q.d.objects.Permanent(err) {
				refused[i.place()] = true
			} else {
				unreachable = true
			}
		}
		if ctx.Err() != nil {
			return
		}
		if i.discard != nil {
			_ = i.discard(ctx) // the next round tries again
		}
	}
}

// delivered ends the pauses of all items of a bucket that can be reached again.
func (q *queue) delivered(i item) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for id, w := range q.waits {
		if w.bucket == i.bucket() {
			w.until = time.Time{}
			q.waits[id] = w
		}
	}
	delete(q.waits, i.id)
}

func (q *queue) failed(i item) {
	q.mu.Lock()
	defer q.mu.Unlock()
	pause := min(max(2*q.waits[i.id].pause, redeliverEvery), redeliverAtMost)
	q.waits[i.id] = wait{i.bucket(), pause, time.Now().Add(pause)}
}
