package kernel

import (
	"context"
	"sync"
	"time"
)

// A pulse wakes every goroutine that waits for its next beat.
type pulse struct {
	mu sync.Mutex
	ch chan struct{} // guarded by mu; nil while nobody waits
}

// next is closed at the next beat. Call it before reading what may have changed.
func (p *pulse) next() <-chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ch == nil {
		p.ch = make(chan struct{})
	}
	return p.ch
}

func (p *pulse) beat() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ch != nil {
		close(p.ch)
		p.ch = nil
	}
}

// pause waits for d, the end of ctx, or any of the channels.
func pause(ctx context.Context, d time.Duration, also ...<-chan struct{}) {
	t := time.NewTimer(d)
	defer t.Stop()
	var a, b <-chan struct{}
	if len(also) > 0 {
		a = also[0]
	}
	if len(also) > 1 {
		b = also[1]
	}
	select {
	case <-t.C:
	case <-ctx.Done():
	case <-a:
	case <-b:
	}
}
