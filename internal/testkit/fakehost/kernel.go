package fakehost

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/ergane-dev/ergane"
	"github.com/ergane-dev/ergane/internal/session"
)

var _ session.Kernel = (*Kernel)(nil)

// Kernel is a kernel as one server sees it. It implements session.Kernel.
type Kernel struct {
	p     *process
	power *Power
	held  context.Context // ends with Detach, and with the server
	let   context.CancelCauseFunc
}

var errDetached = errors.New("the server has detached from the kernel")

// call makes a call that ends with Detach, too.
func (k *Kernel) call(ctx context.Context, name string, do func(context.Context) error) error {
	return k.power.call(ctx, name, func(ctx context.Context) error {
		ctx, cancel := context.WithCancelCause(ctx)
		defer cancel(nil)
		defer context.AfterFunc(k.held, func() { cancel(context.Cause(k.held)) })()
		if k.held.Err() != nil {
			return context.Cause(k.held)
		}
		return do(ctx)
	})
}

// Ready implements session.Kernel.
func (k *Kernel) Ready(ctx context.Context) error {
	return k.call(ctx, "Ready", func(ctx context.Context) error {
		p := k.p
		if err := p.await(ctx, func() bool { return closed(p.up) || closed(p.gone) }); err != nil {
			return err
		}
		p.mu.Lock()
		defer p.mu.Unlock()
		switch {
		case p.refusal != "":
			return errors.New(p.refusal)
		case closed(p.gone):
			return &session.ExitError{Exit: p.exit}
		}
		return nil
	})
}

// Claim implements session.Kernel.
func (k *Kernel) Claim(ctx context.Context, s ergane.Session) error {
	return k.call(ctx, "Claim", func(context.Context) error {
		p := k.p
		p.mu.Lock()
		ahead := p.shape != ""
		p.mu.Unlock()
		if e := p.m.fault().Unclaimed; e != nil && ahead {
			p.end(*e)
		}
		p.mu.Lock()
		defer p.mu.Unlock()
		switch {
		case p.shape == "":
			return nil
		case p.session != s.ID:
			p.m.wrong("session %s claims the kernel of %s", s.ID, p.session)
		case closed(p.gone):
			return &session.ExitError{Exit: p.exit}
		case p.m.fault().ClaimRefusal != "":
			return errors.New(p.m.fault().ClaimRefusal)
		}
		p.claimed = true
		return nil
	})
}

// Exec implements session.Kernel.
func (k *Kernel) Exec(ctx context.Context, id, code string) error {
	return k.call(ctx, "Exec", func(ctx context.Context) error {
		f, p := k.p.m.fault(), k.p
		switch {
		case f.Exec != nil:
			return f.Exec
		case f.Untaken != nil:
			p.end(*f.Untaken)
		}
		var b *block
		taken := false
		err := p.await(ctx, func() bool {
			b = p.block(id)
			switch {
			case closed(p.gone) || b.code != "":
				return true
			case p.m.fault().Deaf || !closed(p.up) || p.current != nil:
				return false
			case p.shape != "" && !p.claimed:
				p.m.wrong("the kernel of %s gets code before it was claimed", p.session)
			}
			b.code, p.current, taken = code, b, true
			return true
		})
		switch {
		case err != nil:
			return err
		case taken:
			p.m.running.Go(func() { p.run(b) })
		case closed(p.gone):
			return &session.ExitError{Exit: p.exit}
		}
		return nil
	})
}

// Wait implements session.Kernel.
func (k *Kernel) Wait(ctx context.Context, id string) (out ergane.Outcome, err error) {
	err = k.call(ctx, "Wait", func(ctx context.Context) error {
		p := k.p
		var b *block
		if err := p.await(ctx, func() bool { b = p.block(id); return b.outcome != nil || closed(p.gone) }); err != nil {
			return err
		}
		p.mu.Lock()
		defer p.mu.Unlock()
		switch {
		case b.outcome != nil && p.m.fault().Wait != nil:
			b.outcome = nil // it is lost for other readers, too
			return p.m.fault().Wait
		case b.outcome != nil:
			out = *b.outcome
		case b.verdict != nil:
			out = *b.verdict
		default:
			return &session.ExitError{Exit: p.exit}
		}
		return nil
	})
	return out, err
}

// Has implements session.Kernel.
func (k *Kernel) Has(id string) bool {
	k.p.mu.Lock()
	defer k.p.mu.Unlock()
	b := k.p.blocks[id]
	return b != nil && (!b.started.IsZero() || b.outcome != nil)
}

// Age implements session.Kernel: the machine's clock is right, unless Faults.Age says otherwise.
func (k *Kernel) Age(_ string, submitted time.Time) time.Duration {
	if age := k.p.m.fault().Age; age != 0 {
		return age
	}
	return time.Since(submitted)
}

// Interrupt implements session.Kernel.
func (k *Kernel) Interrupt(ctx context.Context, id string) error {
	return k.call(ctx, "Interrupt", func(ctx context.Context) error {
		p := k.p
		p.mu.Lock()
		b := p.block(id)
		b.orders++
		p.mu.Unlock()
		b.ordered.Do(func() { close(b.interrupt) })
		return p.await(ctx, func() bool { return b.outcome != nil || closed(p.gone) })
	})
}

// Executors implements session.Kernel.
func (k *Kernel) Executors(ctx context.Context) (es []ergane.SparkExecutor, err error) {
	err = k.call(ctx, "Executors", func(context.Context) error {
		k.p.mu.Lock()
		defer k.p.mu.Unlock()
		if closed(k.p.gone) || closed(k.p.driver) || !closed(k.p.up) {
			return errors.New("no driver answers")
		}
		es = slices.Clone(k.p.executors)
		return nil
	})
	return es, err
}

// Progress implements session.Kernel: one task of four is done, unless
// Machine.Tasks says otherwise.
func (k *Kernel) Progress(ctx context.Context, _ string) (done, total int, err error) {
	err = k.call(ctx, "Progress", func(context.Context) error {
		k.p.mu.Lock()
		defer k.p.mu.Unlock()
		done, total = k.p.done, k.p.total
		return nil
	})
	return done, total, err
}

// Shutdown implements session.Kernel.
func (k *Kernel) Shutdown(ctx context.Context, grace time.Duration) ergane.Exit {
	_ = k.call(ctx, "Shutdown", func(context.Context) error {
		e := ergane.Exit{Known: true}
		if grace == 0 {
			e.Signal = 9
		}
		k.p.end(e)
		return nil
	})
	return k.Exit()
}

// Done implements session.Kernel.
func (k *Kernel) Done() <-chan struct{} { return k.p.gone }

// Exit implements session.Kernel.
func (k *Kernel) Exit() ergane.Exit {
	k.p.mu.Lock()
	defer k.p.mu.Unlock()
	return k.p.exit
}

// DriverDied implements session.Kernel.
func (k *Kernel) DriverDied() <-chan struct{} { return k.p.driver }

// DriverExit implements session.Kernel: a driver is always killed.
func (k *Kernel) DriverExit() ergane.Exit {
	k.p.mu.Lock()
	defer k.p.mu.Unlock()
	return ergane.Exit{Known: true, Code: 137, Signal: 9, Detail: k.p.shortage}
}

// Killed implements session.Kernel.
func (k *Kernel) Killed() (n int64, why string) {
	k.p.mu.Lock()
	defer k.p.mu.Unlock()
	return k.p.killed, k.p.shortage
}

// Detach implements session.Kernel.
func (k *Kernel) Detach() { k.let(errDetached) }
