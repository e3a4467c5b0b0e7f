package host

import (
	"context"

	"github.com/ergane-dev/ergane"
	"github.com/ergane-dev/ergane/internal/kernel"
)

// sessionKernel adapts a kernel to session.Kernel.
type sessionKernel struct {
	*kernel.Kernel
	host  *Host
	ahead bool // it was started ahead of its session
}

func (k sessionKernel) Claim(ctx context.Context, s ergane.Session) error {
	if !k.ahead {
		return nil
	}
	c, err := k.host.claim(ctx, s)
	if err != nil {
		return err
	}
	return k.Kernel.Claim(ctx, c)
}

func (k sessionKernel) Has(id string) bool {
	if _, ok := k.Started(id); ok {
		return true
	}
	_, ok, err := k.Kernel.Spool().Outcome(id)
	return ok || err != nil || k.Runs(context.Background(), id)
}

func (k sessionKernel) Progress(ctx context.Context, id string) (done, total int, err error) {
	d, t, err := k.Kernel.Progress(ctx, id)
	return int(d), int(t), err
}
