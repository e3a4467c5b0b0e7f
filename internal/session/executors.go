package session

import (
	"context"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/ergane-dev/ergane"
)

// Names of the two executors that every session has.
const (
	driverName = "driver"
	kernelName = "kernel"
)

// Executors lists a session's executors, newest first, after asking the driver
// of a live session.
func (m *Manager) Executors(ctx context.Context, sessionID string, state ergane.ExecutorState, p ergane.Page) ([]ergane.Executor, error) {
	if _, err := m.store.Session(ctx, sessionID); err != nil {
		return nil, err
	}
	if r := m.runner(sessionID); r != nil {
		if k := r.kernel.Load(); k != nil {
			r.refreshExecutors(ctx, *k)
		}
	}
	var states []ergane.ExecutorState
	if state != "" {
		states = []ergane.ExecutorState{state}
	}
	return m.store.Executors(ctx, sessionID, states, p)
}

// executor makes the record of a node; its id follows from the session and the node's name.
func (r *runner) executor(name string, kind ergane.ExecutorType, state ergane.ExecutorState, at time.Time) ergane.Executor {
	space := uuid.MustParse(r.id)
	return ergane.Executor{
		ID: uuid.NewSHA1(space, []byte(name)).String(), SessionID: r.id, Name: name,
		Type: kind, State: state, Size: 1, StartedAt: at,
	}
}

// saveOwn records the driver and the kernel of the session.
func (r *runner) saveOwn(ctx context.Context, state ergane.ExecutorState) error {
	now := time.Now()
	return r.m.store.SaveExecutors(ctx, []ergane.Executor{
		r.executor(driverName, ergane.ExecutorCoordinator, state, now),
		r.executor(kernelName, ergane.ExecutorGateway, state, now),
	})
}

// saveDriverLost records that the driver is gone, and with it all workers.
func (r *runner) saveDriverLost(ctx context.Context, at time.Time) error {
	all, err := r.m.store.Executors(ctx, r.id, nil, ergane.Page{Limit: maxExecutors})
	if err != nil {
		return err
	}
	var lost []ergane.Executor
	for _, e := range all {
		if e.Type != ergane.ExecutorGateway {
			e.State, e.TerminatedAt = ergane.ExecutorFailed, at
			lost = append(lost, e)
		}
	}
	return r.m.store.SaveExecutors(ctx, lost)
}

// User code can forge executors, so their number is limited: how many may live
// at once follows from the DPUs that the session asked for, with room for new
// executors that register before those that they replace are known to be gone.
const (
	spareExecutors = 8
	everExecutors  = 1000 // in the whole life of a session, beyond those that live at once
	// maxExecutors is more than any session may have: the model allows 5,000 DPUs.
	maxExecutors = 20_000
)

// maxLive is how many live executors of a session are recorded at most.
func maxLive(s ergane.Session) int { return 2*s.Dpus + spareExecutors }

// refreshExecutors records what Spark knows of the workers. Spark forgets them
// when it stops, so they are kept in the store.
func (r *runner) refreshExecutors(ctx context.Context, k Kernel) {
	ask, cancel := context.WithTimeout(ctx, askFor)
	defer cancel()
	// One look at a time: an older answer must not be saved after a newer one.
	select {
	case r.looks <- struct{}{}:
		defer func() { <-r.looks }()
	case <-ask.Done():
		return
	}
	known, err := k.Executors(ask)
	if err != nil {
		return // starting, dying, or without Spark: what is recorded stands
	}
	s, err := r.m.store.Session(ctx, r.id)
	var recorded []ergane.Executor
	if err == nil {
		recorded, err = r.m.store.Executors(ctx, r.id, nil, ergane.Page{Limit: maxExecutors})
	}
	if err == nil {
		if es := r.observed(recorded, known, maxLive(s), time.Now()); len(es) > 0 {
			err = r.m.store.SaveExecutors(ctx, es)
		}
	}
	if err != nil && ctx.Err() == nil {
		r.log.Warn("cannot record executors", "error", err)
	}
}

// observed returns the workers whose records change by what the driver reports.
// No more than most may live at once.
func (r *runner) observed(recorded []ergane.Executor, known []ergane.SparkExecutor, most int, now time.Time) []ergane.Executor {
	was := make(map[string]ergane.Executor, len(recorded))
	live := 0
	for _, e := range recorded {
		was[e.ID] = e
		if !e.State.Ended() {
			live++
		}
	}
	var changed []ergane.Executor
	listed := map[string]bool{}
	for _, s := range known {
		if s.Name == driverName {
			continue
		}
		e := r.executor(nodeName(s), ergane.ExecutorWorker, ergane.ExecutorRegistered, earlier(s.AddedAt, now))
		if !s.Active || !s.RemovedAt.IsZero() {
			e.State, e.TerminatedAt = endOf(s.Reason), earlier(s.RemovedAt, now)
		}
		listed[e.ID] = true
		old, recordedBefore := was[e.ID]
		switch {
		case recordedBefore && (old.State.Ended() || old.State == e.State):
		case !recordedBefore && (len(was) >= most+everExecutors || !e.State.Ended() && live >= most): // user code forges them
		default:
			switch {
			case e.State.Ended() && recordedBefore:
				live--
			case !e.State.Ended() && !recordedBefore:
				live++
			}
			was[e.ID] = e
			changed = append(changed, e)
		}
	}
	// Spark lists all live executors: one that is missing was removed with an
	// application that was stopped, or so long ago that Spark has forgotten it.
	for _, e := range recorded {
		if e.Type == ergane.ExecutorWorker && !e.State.Ended() && !listed[e.ID] {
			e.State, e.TerminatedAt = ergane.ExecutorTerminated, now
			changed = append(changed, e)
		}
	}
	return changed
}

// nodeName is unique in a session, unlike Spark's executor ids, which begin
// again with each application.
func nodeName(s ergane.SparkExecutor) string {
	if s.App == "" {
		return s.Name
	}
	return s.App + "/" + s.Name
}

// earlier is t, or now where t is not known or has not come yet.
func earlier(t, now time.Time) time.Time {
	if t.IsZero() || t.After(now) {
		return now
	}
	return t
}

// endOf reads Spark's reason for a removal: an executor that the driver removed
// is TERMINATED, any other is FAILED.
func endOf(reason string) ergane.ExecutorState {
	switch {
	case reason == "", strings.HasPrefix(reason, "Executor killed by driver"), strings.HasPrefix(reason, "Executor decommission"):
		return ergane.ExecutorTerminated
	}
	return ergane.ExecutorFailed
}

// workerTime is the sum of the times that workers lived between two moments.
func (r *runner) workerTime(ctx context.Context, from, to time.Time) time.Duration {
	es, err := r.m.store.Executors(ctx, r.id, nil, ergane.Page{Limit: maxExecutors})
	if err != nil {
		return 0
	}
	var sum time.Duration
	for _, e := range es {
		if e.Type != ergane.ExecutorWorker {
			continue
		}
		begin, end := e.StartedAt, to
		if begin.Before(from) {
			begin = from
		}
		if e.State.Ended() && e.TerminatedAt.Before(to) {
			end = e.TerminatedAt
		}
		sum += max(0, end.Sub(begin))
	}
	return sum
}
