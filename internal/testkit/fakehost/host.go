package fakehost

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/ergane-dev/ergane"
	"github.com/ergane-dev/ergane/internal/delivery"
	"github.com/ergane-dev/ergane/internal/session"
)

// Host is a Machine as one server sees it. It implements session.Host.
type Host struct {
	m     *Machine
	power *Power
}

// Host is the machine for a server that runs on the power given.
func (m *Machine) Host(power *Power) *Host { return &Host{m, power} }

// Check implements session.Host.
func (h *Host) Check(ergane.Session) (int64, error) {
	f := h.m.fault()
	return f.Memory, f.Check
}

// DiskUse implements session.Host.
func (h *Host) DiskUse(context.Context, string, int64) (int64, error) {
	f := h.m.fault()
	return f.DiskUse, f.Unmeasurable
}

// Resolve implements session.Host.
func (h *Host) Resolve(selected string) (string, error) {
	if effective := h.m.engines[selected]; effective != "" {
		return effective, nil
	}
	return "", ergane.Errorf(ergane.CodeInvalid, "Engine version %s is not offered.", selected)
}

// Location implements session.Host.
func (h *Host) Location(uri string) error {
	if !strings.HasPrefix(uri, "s3://") || strings.Contains(uri[5:], "//") {
		return errors.New("no address")
	}
	return nil
}

// Versions implements session.Host.
func (h *Host) Versions() []ergane.EngineVersion {
	var all []ergane.EngineVersion
	for _, selected := range slices.Sorted(maps.Keys(h.m.engines)) {
		if selected == "" {
			continue // stands for AUTO, and is not offered
		}
		all = append(all, ergane.EngineVersion{Selected: selected, Effective: h.m.engines[selected]})
	}
	return all
}

// Logs implements session.Host.
func (h *Host) Logs(string) ([]delivery.Section, error) {
	var parts []delivery.Section
	for _, text := range h.m.fault().Logs {
		parts = append(parts, logPart{strings.NewReader(text)})
	}
	return parts, nil
}

type logPart struct{ *strings.Reader }

func (p logPart) Len() int64   { return p.Size() }
func (p logPart) Close() error { return nil }

// Prepare implements session.Host.
func (h *Host) Prepare(ctx context.Context, _ ergane.Session) error {
	return h.power.call(ctx, "Prepare", func(ctx context.Context) error { return sleep(ctx, h.m.fault().PrepareTakes) })
}

// Downloads implements session.Host.
func (h *Host) Downloads(s ergane.Session) bool {
	return s.Engine.Properties()["spark.jars.packages"] != ""
}

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// Start implements session.Host.
func (h *Host) Start(ctx context.Context, s ergane.Session) (k session.Kernel, err error) {
	err = h.power.call(ctx, "Start", func(ctx context.Context) error {
		f := h.m.fault()
		if err := sleep(ctx, f.StartTakes); err != nil {
			return err
		}
		if f.Start != nil {
			return f.Start
		}
		k = h.attach(h.m.spawn(s.ID))
		return nil
	})
	return k, err
}

// Shape implements session.Host: only the driver's memory cannot be changed later.
func (h *Host) Shape(s ergane.Session) (string, ergane.Session) {
	if s.Engine.Properties()["spark.jars"] != "" {
		return "", ergane.Session{} // the files may change meanwhile
	}
	memory := s.Engine.Properties()["spark.driver.memory"]
	like := ergane.Session{Memory: s.Memory}
	if memory != "" {
		like.Engine.SparkProperties = map[string]string{"spark.driver.memory": memory}
	}
	return "of " + memory, like
}

// StartAhead implements session.Host.
func (h *Host) StartAhead(ctx context.Context, like ergane.Session, shape string) (session.Kernel, error) {
	k, err := h.Start(ctx, like)
	if err == nil {
		p := k.(*Kernel).p
		p.mu.Lock()
		defer p.mu.Unlock()
		p.shape, p.at = shape, time.Now()
	}
	return k, err
}

// Ahead implements session.Host.
func (h *Host) Ahead(id string) (shape string, at time.Time, ok bool) {
	p := h.m.kernel(id)
	if p == nil {
		return "", time.Time{}, false
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.shape, p.at, p.shape != "" && !p.claimed
}

// Adopt implements session.Host.
func (h *Host) Adopt(ctx context.Context, id string) (k session.Kernel, err error) {
	err = h.power.call(ctx, "Adopt", func(context.Context) error {
		p := h.m.kernel(id)
		switch f := h.m.fault(); {
		case f.Adopt != nil:
			return f.Adopt
		case p == nil:
			return session.ErrNoKernel
		case closed(p.gone):
			return &session.ExitError{Exit: p.exit}
		}
		k = h.attach(p)
		return nil
	})
	return k, err
}

// Expel implements session.Host.
func (h *Host) Expel(ctx context.Context, id string) error {
	return h.power.call(ctx, "Expel", func(context.Context) error {
		if f := h.m.fault(); f.Expel != nil {
			return f.Expel
		}
		h.m.Kill(id, ergane.Exit{Signal: 9})
		return nil
	})
}

// attach makes a server's Kernel. Its handle is closed by Detach, or when the server is killed.
func (h *Host) attach(p *process) *Kernel {
	k := &Kernel{p: p, power: h.power}
	k.held, k.let = context.WithCancelCause(h.power.ctx)
	h.m.opened(kernelHandle, 1)
	context.AfterFunc(k.held, func() { h.m.opened(kernelHandle, -1) })
	return k
}

// Spool implements session.Host.
func (h *Host) Spool(id string) (_ delivery.Spool, err error) {
	var s *Spool
	err = h.power.call(context.Background(), "Spool", func(context.Context) error {
		p := h.m.kernel(id)
		if f := h.m.fault(); f.Spool != nil {
			return f.Spool
		}
		if p == nil {
			return errNoFolder
		}
		p.mu.Lock()
		defer p.mu.Unlock()
		if p.discarded {
			return errNoFolder
		}
		h.m.opened(spoolHandle, 1)
		s = &Spool{p: p, power: h.power}
		return nil
	})
	if s == nil {
		return nil, err
	}
	return s, nil // if the server was killed, its next call fails
}

// Discard implements session.Host.
func (h *Host) Discard(id string) error {
	return h.power.call(context.Background(), "Discard", func(context.Context) error {
		p := h.m.kernel(id)
		if p == nil {
			return nil
		}
		if !closed(p.gone) {
			h.m.wrong("the files of session %s were removed while its kernel lived", id)
		}
		p.mu.Lock()
		defer p.mu.Unlock()
		p.discarded = true
		return nil
	})
}

// Trim implements session.Host.
func (h *Host) Trim(id string) error {
	return h.power.call(context.Background(), "Trim", func(context.Context) error {
		p := h.m.kernel(id)
		if p == nil {
			return nil
		}
		if !closed(p.gone) {
			h.m.wrong("the files of session %s were trimmed while its kernel lived", id)
		}
		p.mu.Lock()
		defer p.mu.Unlock()
		p.trimmed = true
		return nil
	})
}

// LogSize implements session.Host.
func (h *Host) LogSize(id string) (size int64, err error) {
	err = h.power.call(context.Background(), "LogSize", func(context.Context) error {
		h.m.mu.Lock()
		defer h.m.mu.Unlock()
		if h.m.kernels[id] != nil {
			size = LogSize
		}
		return nil
	})
	return size, err
}

// LogSize is how many bytes the logs of every session have.
const LogSize = 1000

// LogStored implements session.Host.
func (h *Host) LogStored(id string) (stored bool, err error) {
	err = h.power.call(context.Background(), "LogStored", func(context.Context) error {
		h.m.mu.Lock()
		defer h.m.mu.Unlock()
		stored = h.m.logStored[id]
		return nil
	})
	return stored, err
}

// SetLogStored implements session.Host.
func (h *Host) SetLogStored(id string) error {
	return h.power.call(context.Background(), "SetLogStored", func(context.Context) error {
		h.m.mu.Lock()
		defer h.m.mu.Unlock()
		h.m.logStored[id] = true
		return nil
	})
}

// Forget implements session.Host.
func (h *Host) Forget(id string) error {
	return h.power.call(context.Background(), "Forget", func(context.Context) error {
		h.m.mu.Lock()
		defer h.m.mu.Unlock()
		delete(h.m.kernels, id)
		return nil
	})
}

// Sessions implements session.Host.
func (h *Host) Sessions() (ids []string, err error) {
	err = h.power.call(context.Background(), "Sessions", func(context.Context) error {
		h.m.mu.Lock()
		defer h.m.mu.Unlock()
		for id := range h.m.kernels {
			ids = append(ids, id)
		}
		slices.Sort(ids)
		return nil
	})
	return ids, err
}
