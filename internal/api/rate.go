package api

import (
	"sync"

	"golang.org/x/time/rate"

	"github.com/ergane-dev/ergane"
	"github.com/ergane-dev/ergane/internal/awsjson"
)

// rates bounds how often each key may call: perSecond calls on average, and as
// many at once after a pause of a second.
type rates struct {
	perSecond int

	mu    sync.Mutex
	byKey map[string]*rate.Limiter // guarded by mu
}

// maxRates is how many keys are remembered. Only keys that are good get here,
// and those of sessions end: after so many all begin anew.
const maxRates = 10_000

// admit refuses a call that comes too soon, as AWS does; SDKs wait and try again.
func (r *rates) admit(c awsjson.Caller) error {
	r.mu.Lock()
	l := r.byKey[c.AccessKeyID]
	if l == nil {
		if len(r.byKey) >= maxRates {
			clear(r.byKey)
		}
		l = rate.NewLimiter(rate.Limit(r.perSecond), r.perSecond)
		r.byKey[c.AccessKeyID] = l
	}
	r.mu.Unlock()
	if !l.Allow() {
		return ergane.Errorf(ergane.CodeThrottled, "Rate exceeded")
	}
	return nil
}
