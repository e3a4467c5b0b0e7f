package session

import (
	"cmp"
	"context"
	"errors"
	"time"

	"github.com/ergane-dev/ergane"
	"github.com/ergane-dev/ergane/internal/delivery"
)

const (
	// expireEvery is the pause between looks for sessions that ended long ago; it
	// is shorter where they are kept for less than ten minutes.
	expireEvery = time.Minute
	// expireAtOnce is how many sessions are removed in one step, expirePause the
	// pause between steps, in which others get at the database.
	expireAtOnce = 50
	expirePause  = 50 * time.Millisecond
)

// Retention is how long sessions are kept after their end, with everything that
// belongs to them; 0: forever.
type Retention struct {
	For        time.Duration
	WorkGroups map[string]time.Duration // in place of For
	// Objects says that the objects of their calculations are removed, too.
	Objects bool
}

// Of is how long the sessions of a workgroup are kept.
func (r Retention) Of(workgroup string) time.Duration {
	if d, ok := r.WorkGroups[workgroup]; ok {
		return d
	}
	return r.For
}

// shortest is the shortest time for which anything is kept; 0 where everything is kept forever.
func (r Retention) shortest() time.Duration {
	least := r.For
	for _, d := range r.WorkGroups {
		if d > 0 && (least == 0 || d < least) {
			least = d
		}
	}
	return least
}

// expire removes what Config.Keep does not keep, a little at a time.
func (m *Manager) expire() {
	every := min(max(m.cfg.Keep.shortest()/10, time.Second), expireEvery)
	begun := time.Now()
	for pause(m.ctx, every) {
		// A change of the machine's clock makes no session older.
		now, steady := time.Now().Round(0), begun.Round(0).Add(time.Since(begun))
		if steady.Before(now) {
			now = steady
		}
		p := pass{m: m, now: now}
		err := p.run(m.ctx)
		if p.sessions > 0 {
			m.log.Info("removed what ended long ago", "sessions", p.sessions, "objects", p.objects)
			m.reclaim()
		}
		if err != nil && m.ctx.Err() == nil {
			m.log.Warn("cannot remove what ended long ago; trying again", "error", err, "wait", every)
		}
	}
}

// A pass goes once through everything that may be too old.
type pass struct {
	m                 *Manager
	now               time.Time
	sessions, objects int // that were removed
}

// run returns the first error that concerns more than one bucket, or else the
// last error of a bucket.
func (p *pass) run(ctx context.Context) (bad error) {
	for page := (ergane.Page{Limit: 100}); ; {
		groups, err := p.m.store.WorkGroups(ctx, page)
		if err != nil || len(groups) == 0 {
			return cmp.Or(err, bad)
		}
		for _, w := range groups {
			keep := p.m.cfg.Keep.Of(w.Name)
			if keep <= 0 {
				continue
			}
			refused, err := p.workGroup(ctx, w.Name, p.now.Add(-keep))
			if err != nil {
				return err
			}
			bad = cmp.Or(refused, bad)
		}
		page.After = ergane.Key{ID: groups[len(groups)-1].Name}
	}
}

// workGroup removes the sessions of a workgroup that ended before a time.
// refused is why the objects of some may not be removed; those stay.
func (p *pass) workGroup(ctx context.Context, name string, before time.Time) (refused, err error) {
	for page := (ergane.Page{Limit: expireAtOnce}); ; {
		old, err := p.m.store.Expired(ctx, name, before, page)
		if err != nil || len(old) == 0 {
			return refused, err
		}
		var ids []string
		for _, s := range old {
			if !p.m.through(s) {
				continue
			}
			if err := p.removeObjects(ctx, s); err == nil {
				ids = append(ids, s.ID)
			} else if !p.m.objects.Permanent(err) {
				return refused, err
			} else {
				refused = err
			}
		}
		if err := p.removeRows(ctx, ids, before); err != nil {
			return refused, err
		}
		last := old[len(old)-1] // what stays is looked at again in the next pass
		page.After = ergane.Key{At: last.Status.EndedAt, ID: last.ID}
		if !pause(ctx, expirePause) {
			return refused, context.Cause(ctx)
		}
	}
}

// through reports whether nothing is left to do for a session that has ended:
// its kernel and its spool are gone, and its log is stored where it is wanted.
func (m *Manager) through(s ergane.Session) bool {
	if m.runner(s.ID) != nil {
		return false
	}
	m.reapSession(s.ID)
	spool, err := m.host.Spool(s.ID)
	if err == nil {
		spool.Close()
	}
	if !errors.Is(err, delivery.ErrSpool) { // it is there, or cannot be read now
		return false
	}
	if delivery.LogLocation(s) != "" && time.Since(s.Status.EndedAt) <= m.cfg.LogsFor {
		stored, err := m.host.LogStored(s.ID)
		return err == nil && stored
	}
	return true
}

// removeObjects removes the objects of a session's calculations that have a
// result, which names the objects. It is called before removeRows, so that after
// a crash the rows still name what may be left.
func (p *pass) removeObjects(ctx context.Context, s ergane.Session) error {
	if !p.m.cfg.Keep.Objects {
		return nil
	}
	for page := (ergane.Page{Limit: 100}); ; {
		some, err := p.m.store.Calculations(ctx, s.ID, nil, page)
		if err != nil || len(some) == 0 {
			return err
		}
		for _, c := range some {
			c, err := p.m.store.Calculation(ctx, c.ID) // lists have no results
			if err != nil {
				return err
			}
			if c.Result == nil {
				continue
			}
			for _, uri := range []string{c.Result.StdOut, c.Result.StdErr, c.Result.Results} {
				if err := p.m.objects.Delete(ctx, uri, s.Delivery()); err != nil {
					return err
				}
				p.objects++
				p.m.cfg.Meter.Count(CountExpired, expiredObject)
			}
		}
		last := some[len(some)-1]
		page.After = ergane.Key{At: last.Status.SubmittedAt, ID: last.ID}
	}
}

// removeRows removes sessions from the store, and then their logs.
func (p *pass) removeRows(ctx context.Context, ids []string, before time.Time) error {
	for len(ids) > 0 {
		gone, left, err := p.m.store.Expire(ctx, ids, before)
		if err != nil {
			return err
		}
		for _, id := range gone {
			p.sessions++
			p.m.cfg.Meter.Count(CountExpired, expiredSession)
			if err := p.m.host.Forget(id); err != nil {
				p.m.log.Warn("cannot remove a session's logs", "session", id, "error", err) // the reaper tries again
			}
		}
		if ids = left; len(ids) > 0 && !pause(ctx, expirePause) {
			return context.Cause(ctx)
		}
	}
	return nil
}
