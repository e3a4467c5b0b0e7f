package api

import (
	"sync"

	"golang.org/x/time/rate"

	"github.com/ergane-dev/ergane"
	"github.com/ergane-dev/ergane/internal/awsjson"
)

// rates bounds how often each key may call: perSecond calls on average, and as
// many at once after one second without calls.
type rates struct {
	perSecond int

	mu    sync.Mutex
	byKey map[string]*rate.Limiter // guarded by mu
}

// maxRates is how many keys are remembered; beyond it all are forgotten. Only
// valid keys are counted, but every session has another one.
const maxRates = 10_000

// admit refuses a call above the rate as AWS does; SDKs wait and try again.
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
