package session

import (
	"context"
	"errors"
	"time"

	"github.com/ergane-dev/ergane"
	"github.com/ergane-dev/ergane/internal/delivery"
)

// logFor bounds how long the end of a session waits for its log to be stored.
// Usually the log is stored when the session has ended, but the session's state
// must not depend on the result store.
const logFor = time.Second

// endLog stores the log of a session that is about to end, if that does not take
// long. Otherwise it is stored later.
func (r *runner) endLog(ctx context.Context) {
	var s ergane.Session
	r.persist(ctx, "read the session", func() (err error) {
		s, err = r.m.store.Session(ctx, r.id)
		return err
	})
	if delivery.LogLocation(s) == "" {
		return
	}
	bounded, cancel := context.WithTimeoutCause(ctx, logFor, errors.New("the result store took too long"))
	defer cancel()
	if err := r.m.delivery.StoreLog(bounded, s); err != nil && ctx.Err() == nil {
		r.log.Warn("cannot store the session's log yet; ergane logs shows it", "location", delivery.LogLocation(s), "error", err)
		r.m.delivery.StoreLogLater(s)
	}
}
