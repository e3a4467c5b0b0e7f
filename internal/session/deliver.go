package session

import (
	"context"
	"errors"
	"fmt"
	"io"
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

// deliver stores stdout, stderr and results of a calculation, all three
// always. It returns when they are durable, or with the last error when the
// time for retries is over.
func (r *runner) deliver(ctx context.Context, spool Spool, c ergane.Calculation, e ending) error {
	var s ergane.Session
	if !r.persist(ctx, "read the session's settings", func() (err error) {
		s, err = r.m.store.Session(ctx, r.id)
		return err
	}) {
		return ergane.ErrSessionNotFound(r.id)
	}
	g, ctx := errgroup.WithContext(ctx)
	to := ergane.ResultAt(c.WorkingDirectory)
	g.Go(func() error {
		return r.put(ctx, to.StdOut, "text/plain; charset=utf-8", s.Delivery(), func() (Section, error) { return section(spool, "stdout", e.stdout) })
	})
	g.Go(func() error {
		return r.put(ctx, to.StdErr, "text/plain; charset=utf-8", s.Delivery(), func() (Section, error) { return section(spool, "stderr", e.stderr) })
	})
	g.Go(func() error {
		return r.put(ctx, to.Results, ergane.ResultType, s.Delivery(), func() (Section, error) { return outputs(spool, c.ID, e.outputs) })
	})
	return g.Wait()
}

// section opens a range of a stream; an empty one needs no file.
func section(spool Spool, stream string, rg ergane.Range) (Section, error) {
	if rg.Len() == 0 {
		return Nothing, nil
	}
	return spool.Section(stream, rg)
}

// outputs opens the first n bytes of the rich outputs; none need no file.
func outputs(spool Spool, id string, n int64) (Section, error) {
	if n == 0 {
		return Nothing, nil
	}
	return spool.Outputs(id, n)
}

// Nothing is an empty Section.
var Nothing Section = nothing{}

type nothing struct{}

func (nothing) ReadAt([]byte, int64) (int, error) { return 0, io.EOF }
func (nothing) Len() int64                        { return 0 }
func (nothing) Close() error                      { return nil }

// put stores one object, no more of it than Config.MaxOutput, and retries while
// that can help.
func (r *runner) put(ctx context.Context, uri, contentType string, d ergane.Delivery, open func() (Section, error)) error {
	var body Section
	defer func() {
		if body != nil {
			body.Close()
		}
	}()
	tried := false
	err := r.patiently(ctx, "store an object", func() (err error) {
		if tried {
			r.m.cfg.Meter.Count(CountPuts, putRetried)
		}
		tried = true
		if body == nil {
			if body, err = open(); err != nil {
				body = nil
				return fmt.Errorf("read the spool: %w", err)
			}
		}
		return r.m.objects.Put(ctx, uri, body, min(body.Len(), r.m.cfg.MaxOutput), contentType, d)
	}, "uri", uri)
	switch {
	case err == nil:
		r.m.cfg.Meter.Count(CountPuts, putStored)
	case ctx.Err() == nil && !errors.Is(err, ErrSpool):
		r.m.cfg.Meter.Count(CountPuts, putFailed)
	}
	return err
}

// patiently repeats a step of a delivery while that can help and for as long as
// a delivery may take, and returns its last error. What is wrong with the spool
// itself is final.
func (r *runner) patiently(ctx context.Context, what string, try func() error, about ...any) error {
	begun := time.Now()
	var seen time.Duration // until the session was seen to be on its way out
	for wait := 50 * time.Millisecond; ; wait = min(2*wait, maxRetryWait) {
		err := try()
		if err == nil || ctx.Err() != nil || errors.Is(err, ErrSpool) {
			return err
		}
		limit := r.m.cfg.DeliverFor
		if r.m.objects.Permanent(err) {
			limit = min(limit, deniedFor)
		}
		if s, err := r.m.store.Session(ctx, r.id); err == nil && s.Status.State == ergane.SessionTerminating {
			if seen == 0 {
				seen = time.Since(begun)
			}
			// When that began the machine's clock says, which may have been set.
			limit = min(limit, min(seen, max(0, s.Status.ModifiedAt.Sub(begun)))+terminatedFor)
		}
		if r.late || time.Since(begun)+wait > limit {
			return err
		}
		r.log.Warn("cannot "+what+"; trying again", append(about, "error", err, "wait", wait)...)
		if !pause(ctx, wait) {
			return context.Cause(ctx)
		}
	}
}

// ErrSpool is in the chain of an error of a spool that stays: what is asked
// for is not there, or is not what was recorded.
var ErrSpool = errors.New("the spool is damaged")
