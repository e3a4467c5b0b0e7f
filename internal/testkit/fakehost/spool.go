package fakehost

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/ergane-dev/ergane"
	"github.com/ergane-dev/ergane/internal/delivery"
)

// Spool is the files of a kernel as one server sees them. It implements delivery.Spool.
type Spool struct {
	p     *process
	power *Power
	once  sync.Once
}

// Outcome implements delivery.Spool.
func (s *Spool) Outcome(id string) (ergane.Outcome, bool, error) {
	if err := s.p.m.fault().Unread; err != nil {
		return ergane.Outcome{}, false, err
	}
	s.p.mu.Lock()
	defer s.p.mu.Unlock()
	b := s.p.blocks[id]
	if b == nil || b.outcome == nil {
		return ergane.Outcome{}, false, nil
	}
	return *b.outcome, true, nil
}

// Started implements delivery.Spool.
func (s *Spool) Started(id string) (at time.Time, stdout, stderr int64, ok bool, err error) {
	if err := s.p.m.fault().Unread; err != nil {
		return time.Time{}, 0, 0, false, err
	}
	s.p.mu.Lock()
	defer s.p.mu.Unlock()
	b := s.p.blocks[id]
	if b == nil || b.started.IsZero() {
		return time.Time{}, 0, 0, false, nil
	}
	return b.started, b.stdout, b.stderr, true, nil
}

// Size implements delivery.Spool.
func (s *Spool) Size(stream ergane.Stream) (int64, error) {
	if err := s.p.m.fault().Unsized; err != nil {
		return 0, err
	}
	s.p.mu.Lock()
	defer s.p.mu.Unlock()
	return int64(len(s.p.streams[stream])), nil
}

// Section implements delivery.Spool.
func (s *Spool) Section(stream ergane.Stream, r ergane.Range) (delivery.Section, error) {
	return s.section(func() ([]byte, error) {
		if err := s.p.m.fault().Section; err != nil {
			return nil, err
		}
		s.p.mu.Lock()
		defer s.p.mu.Unlock()
		file := s.p.streams[stream]
		if missing := r.End - int64(len(file)); missing > 0 {
			return nil, fmt.Errorf("%w: %d bytes of the output are gone", delivery.ErrSpool, missing)
		}
		return slices.Clone(file[r.Start:r.End]), nil
	})
}

// Outputs implements delivery.Spool.
func (s *Spool) Outputs(id string, n int64) (delivery.Section, error) {
	return s.section(func() ([]byte, error) {
		s.p.mu.Lock()
		defer s.p.mu.Unlock()
		var all []byte
		if b := s.p.blocks[id]; b != nil {
			all = b.outputs
		}
		if n < 0 {
			n = int64(len(all))
		}
		if n > int64(len(all)) {
			return nil, fmt.Errorf("%w: outputs are gone", delivery.ErrSpool)
		}
		return slices.Clone(all[:n]), nil
	})
}

func (s *Spool) section(read func() ([]byte, error)) (_ delivery.Section, err error) {
	var b []byte
	err = s.power.call(context.Background(), "Section", func(context.Context) error {
		b, err = read()
		return err
	})
	if err != nil {
		return nil, err
	}
	s.p.m.opened(sectionHandle, 1)
	return &section{Reader: bytes.NewReader(b), m: s.p.m}, nil
}

// Release implements delivery.Spool: the range reads as zeros from now on.
func (s *Spool) Release(stream ergane.Stream, r ergane.Range) error {
	return s.power.call(context.Background(), "Release", func(context.Context) error {
		s.p.mu.Lock()
		defer s.p.mu.Unlock()
		file := s.p.streams[stream]
		clear(file[min(r.Start, int64(len(file))):min(r.End, int64(len(file)))])
		s.p.released += r.Len()
		return nil
	})
}

// Remove implements delivery.Spool.
func (s *Spool) Remove(id string) error {
	return s.power.call(context.Background(), "Remove", func(context.Context) error {
		s.p.mu.Lock()
		defer s.p.mu.Unlock()
		if b := s.p.blocks[id]; b != nil {
			b.outcome, b.started, b.outputs = nil, time.Time{}, nil
			s.p.removed = append(s.p.removed, id)
		}
		return nil
	})
}

// Close implements delivery.Spool.
func (s *Spool) Close() error {
	s.once.Do(func() { s.p.m.opened(spoolHandle, -1) })
	return nil
}

type section struct {
	*bytes.Reader
	m    *Machine
	once sync.Once
}

func (s *section) Len() int64 { return s.Size() }

func (s *section) Close() error {
	s.once.Do(func() { s.m.opened(sectionHandle, -1) })
	return nil
}
