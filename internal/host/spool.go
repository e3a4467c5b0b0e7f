package host

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"time"

	"github.com/ergane-dev/ergane"
	"github.com/ergane-dev/ergane/internal/delivery"
	"github.com/ergane-dev/ergane/internal/kernel"
)

// sessionSpool adapts a spool to delivery.Spool.
type sessionSpool struct{ *kernel.Spool }

func (s sessionSpool) Outcome(id string) (ergane.Outcome, bool, error) {
	out, ok, err := s.Spool.Outcome(id)
	return out, ok && err == nil, unread(err)
}

func (s sessionSpool) Started(id string) (at time.Time, stdout, stderr int64, ok bool, err error) {
	st, ok, err := s.Spool.Started(id)
	return st.At, st.Stdout, st.Stderr, ok && err == nil, unread(err)
}

func (s sessionSpool) Size(stream ergane.Stream) (int64, error) {
	n, err := s.Spool.Size(stream)
	return n, damaged(err)
}

// unread keeps errors of documents that cannot be read now, and drops others: an
// invalid document counts as a missing one.
func unread(err error) error {
	if kernel.Unread(err) {
		return err
	}
	return nil
}

// damaged marks an error that will not pass with delivery.ErrSpool.
func damaged(err error) error {
	if err == nil || kernel.Unread(err) {
		return err
	}
	return fmt.Errorf("%w: %w", delivery.ErrSpool, err)
}

func (s sessionSpool) Section(stream ergane.Stream, r ergane.Range) (delivery.Section, error) {
	return whole(s.Spool.Section(stream, r))
}

func (s sessionSpool) Outputs(id string, n int64) (delivery.Section, error) {
	if n < 0 {
		sec, err := s.Spool.Outputs(id, math.MaxInt64)
		if errors.Is(err, fs.ErrNotExist) {
			return delivery.Nothing, nil
		}
		if err != nil {
			return nil, damaged(err)
		}
		return section{sec}, nil
	}
	if n == 0 {
		return delivery.Nothing, nil
	}
	return whole(s.Spool.Outputs(id, n))
}

// section adapts a section to delivery.Section.
type section struct{ *kernel.Section }

func (s section) Len() int64 { return s.Size() }

// whole refuses an incomplete section.
func whole(s *kernel.Section, err error) (delivery.Section, error) {
	if err != nil {
		return nil, damaged(err)
	}
	if s.Missing > 0 {
		s.Close()
		return nil, fmt.Errorf("%w: %d bytes of the output are gone", delivery.ErrSpool, s.Missing)
	}
	return section{s}, nil
}
