package fakehost

import (
	"context"
	"errors"
	"slices"
	"sync"
)

// ErrCut is the error of every call that a server makes after its Power was cut.
var ErrCut = errors.New("the server was killed")

// Power is what one server runs on. Once it is cut, every call to the server's
// Host, Kernels, Spools, Objects and Store has no effect and returns ErrCut: as if
// the server had been killed with SIGKILL.
type Power struct {
	ctx context.Context // ends at the cut
	off context.CancelCauseFunc

	mu    sync.Mutex
	calls []string // so far; guarded by mu
	at    int      // the number of the call that act and after belong to; guarded by mu
	act   func()   // called before it, if not nil; guarded by mu
	after func()   // called after it, if not nil; guarded by mu
}

// NewPower is the power of a new server.
func NewPower() *Power {
	ctx, off := context.WithCancelCause(context.Background())
	return &Power{ctx: ctx, off: off}
}

// Cut ends the server.
func (p *Power) Cut() { p.off(ErrCut) }

// CutAt ends the server at its n-th call from now on: before the call has an
// effect, or after it, so that only its result is lost.
func (p *Power) CutAt(n int, after bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.at, p.act, p.after = len(p.calls)+n, p.Cut, nil
	if after {
		p.act, p.after = nil, p.Cut
	}
}

// At calls a function before the server's n-th call from now on.
func (p *Power) At(n int, act func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.at, p.act, p.after = len(p.calls)+n, act, nil
}

// Gone is closed once the power is cut.
func (p *Power) Gone() <-chan struct{} { return p.ctx.Done() }

// Calls are the names of the calls so far.
func (p *Power) Calls() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.calls)
}

// call makes a call that is interrupted when the power is cut.
func (p *Power) call(ctx context.Context, name string, do func(context.Context) error) error {
	p.mu.Lock()
	p.calls = append(p.calls, name)
	var act, after func()
	if p.at == len(p.calls) {
		act, after = p.act, p.after
	}
	p.mu.Unlock()
	if act != nil {
		act()
	}
	if p.ctx.Err() != nil {
		return ErrCut
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(p.ctx, func() { cancel(ErrCut) })()
	err := do(ctx)
	if after != nil {
		after()
	}
	if p.ctx.Err() != nil {
		return ErrCut
	}
	return err
}
