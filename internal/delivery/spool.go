package delivery

import (
	"context"
	"errors"

	"github.com/ergane-dev/ergane"
)

// Left returns what the spool has of a calculation that the kernel does not work
// on any more. State is empty if no outcome was recorded; StartedAt is zero, too,
// if the calculation never began. Reading is retried for as long as a delivery
// may take; ErrSpool says that the spool is gone.
func (d *Deliverer) Left(ctx context.Context, c ergane.Calculation) (o ergane.Outcome, err error) {
	err = d.retry(c.SessionID)(ctx, "read what a calculation left", func() error {
		o, err = d.left(c)
		return err
	})
	return o, err
}

func (d *Deliverer) left(c ergane.Calculation) (o ergane.Outcome, err error) {
	spool, err := d.files.Spool(c.SessionID)
	if err != nil {
		return o, err
	}
	defer spool.Close()
	o, ok, err := spool.Outcome(c.ID)
	if ok || err != nil {
		return o, err
	}
	at, stdout, stderr, ok, err := spool.Started(c.ID)
	if err != nil || !ok || at.IsZero() {
		return ergane.Outcome{}, err
	}
	o = ergane.Outcome{StartedAt: at, Outputs: ergane.AllOutputs}
	if o.Stdout, err = Since(spool, ergane.Stdout, stdout); err == nil {
		o.Stderr, err = Since(spool, ergane.Stderr, stderr)
	}
	return o, err
}

// Since is the range from an offset to the present end of a stream; an error
// says that the end cannot be read now.
func Since(s Spool, stream ergane.Stream, from int64) (ergane.Range, error) {
	none := ergane.Range{Start: from, End: from}
	size, err := s.Size(stream)
	switch {
	case errors.Is(err, ErrSpool):
		return none, nil
	case err != nil:
		return none, err
	case size < from:
		return none, nil
	}
	return ergane.Range{Start: from, End: size}, nil
}

// Release frees the disk space of delivered output and of everything before it,
// which was delivered, too, or belongs to no calculation: file systems free whole
// blocks, and small outputs share blocks. Pending output stays.
func (d *Deliverer) Release(ctx context.Context, c ergane.Calculation, s Spool, o ergane.Outcome) {
	if pending, err := d.store.HasPendingDelivery(ctx, c.SessionID); err == nil && !pending {
		for _, r := range []*ergane.Range{&o.Stdout, &o.Stderr} {
			if r.Len() > 0 {
				r.Start = 0
			}
		}
	}
	release(s, o)
}

func release(s Spool, o ergane.Outcome) {
	for _, stream := range ergane.Streams {
		if r := o.Printed(stream); r.Len() > 0 {
			_ = s.Release(stream, r) // the space is freed when the session ends at the latest
		}
	}
}
