package delivery

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/ergane-dev/ergane"
)

const (
	// deniedFor bounds the retries where the store answers that the bucket
	// does not exist or that access is denied.
	deniedFor = time.Minute
	// terminatedFor bounds the retries while the session is being terminated.
	terminatedFor = time.Minute
	maxRetryWait  = 5 * time.Second
)

// Deliver stores stdout, stderr and results of a calculation that has ended,
// always all three. It returns when they are durable, or with the last error
// when the time for retries is over. The caller closes the spool, which is nil if
// none was needed.
func (d *Deliverer) Deliver(ctx context.Context, s ergane.Session, c ergane.Calculation, o ergane.Outcome) (Spool, error) {
	return d.deliver(ctx, s, c, o, d.retry(s.ID))
}

func (d *Deliverer) deliver(ctx context.Context, s ergane.Session, c ergane.Calculation, o ergane.Outcome, attempt attempts) (spool Spool, err error) {
	if o.Unread != nil {
		return nil, o.Unread
	}
	if !o.Empty() {
		err = attempt(ctx, "open the spool", func() (err error) {
			spool, err = d.files.Spool(s.ID)
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	to := ergane.ResultAt(c.WorkingDirectory)
	g, ctx := errgroup.WithContext(ctx)
	for _, stream := range ergane.Streams {
		g.Go(func() error {
			return d.put(ctx, to.URI(stream), "text/plain; charset=utf-8", s.Delivery(), attempt, func() (Section, error) {
				return section(spool, stream, o.Printed(stream))
			})
		})
	}
	g.Go(func() error {
		return d.put(ctx, to.Results, ergane.ResultType, s.Delivery(), attempt, func() (Section, error) {
			return outputs(spool, c.ID, o.Outputs)
		})
	})
	return spool, g.Wait()
}

// section opens a range of a stream; an empty one needs no file.
func section(spool Spool, stream ergane.Stream, r ergane.Range) (Section, error) {
	if r.Len() == 0 {
		return Nothing, nil
	}
	return spool.Section(stream, r)
}

// outputs opens the first n bytes of the rich outputs; 0 bytes need no file.
func outputs(spool Spool, id string, n int64) (Section, error) {
	if n == 0 {
		return Nothing, nil
	}
	return spool.Outputs(id, n)
}

// put stores one object of at most Config.MaxOutput bytes.
func (d *Deliverer) put(ctx context.Context, uri, contentType string, to ergane.Delivery, attempt attempts, open func() (Section, error)) error {
	var body Section
	defer func() {
		if body != nil {
			body.Close()
		}
	}()
	tried := false
	err := attempt(ctx, "store an object", func() (err error) {
		if tried {
			d.meter.CountPut(PutRetried)
		}
		tried = true
		if body == nil {
			if body, err = open(); err != nil {
				body = nil
				return fmt.Errorf("read the spool: %w", err)
			}
		}
		return d.objects.Put(ctx, uri, body, min(body.Len(), d.cfg.MaxOutput), contentType, to)
	}, "uri", uri)
	switch {
	case err == nil:
		d.meter.CountPut(PutStored)
	case ctx.Err() == nil && !errors.Is(err, ErrSpool):
		d.meter.CountPut(PutFailed)
	}
	return err
}

// attempts takes a step of a delivery, once or until it succeeds, and returns
// its last error. what, after "cannot", and about are for the log.
type attempts func(ctx context.Context, what string, step func() error, about ...any) error

// once takes a step once: for a delivery that is repeated as a whole.
func once(_ context.Context, _ string, step func() error, _ ...any) error { return step() }

// retry repeats a step while that can help, for as long as a delivery at the end
// of a calculation may take. ErrSpool is final.
func (d *Deliverer) retry(sessionID string) attempts {
	return func(ctx context.Context, what string, step func() error, about ...any) error {
		begun := time.Now()
		var seen time.Duration // until the session was seen to be TERMINATING
		for wait := 50 * time.Millisecond; ; wait = min(2*wait, maxRetryWait) {
			err := step()
			if err == nil || ctx.Err() != nil || errors.Is(err, ErrSpool) {
				return err
			}
			limit := d.cfg.RetryFor
			if d.objects.Permanent(err) {
				limit = min(limit, deniedFor)
			}
			if s, err := d.store.Session(ctx, sessionID); err == nil && s.Status.State == ergane.SessionTerminating {
				if seen == 0 {
					seen = time.Since(begun)
				}
				// ModifiedAt is by the machine's clock, which may have been set.
				limit = min(limit, min(seen, max(0, s.Status.ModifiedAt.Sub(begun)))+terminatedFor)
			}
			if time.Since(begun)+wait > limit {
				return err
			}
			d.log.Warn("cannot "+what+"; trying again", append(about, "session", sessionID, "error", err, "wait", wait)...)
			if !pause(ctx, wait) {
				return context.Cause(ctx)
			}
		}
	}
}

// pause waits for d; false if ctx ended first.
func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
