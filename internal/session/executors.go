package session

import (
	"context"
	"time"

	"github.com/google/uuid"

	"github.com/ergane-dev/ergane"
)

// Names of the two executors that every session has.
const (
	driverName = "driver"
	kernelName = "kernel"
)

// Executors lists a session's executors, newest first, after asking a live
// driver what it knows.
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

// maxExecutors is more than a session can have alive at once.
const maxExecutors = 10_000

// refreshExecutors records the workers that Spark knows of. Spark forgets
// them when it stops, so they are kept in the store.
func (r *runner) refreshExecutors(ctx context.Context, k Kernel) {
	ask, cancel := context.WithTimeout(ctx, askFor)
	defer cancel()
	known, err := k.Executors(ask)
	if err != nil {
		return // starting, dying, or without Spark: what is recorded stands
	}
	var es []ergane.Executor
	for _, s := range known {
		if s.Name == driverName {
			continue
		}
		started := s.AddedAt
		if started.IsZero() {
			started = time.Now()
		}
		e := r.executor(s.Name, ergane.ExecutorWorker, ergane.ExecutorRegistered, started)
		if !s.Active || !s.RemovedAt.IsZero() {
			e.State, e.TerminatedAt = ergane.ExecutorTerminated, s.RemovedAt
			if e.TerminatedAt.IsZero() {
				e.TerminatedAt = time.Now()
			}
		}
		es = append(es, e)
	}
	if len(es) == 0 {
		return
	}
	if err := r.m.store.SaveExecutors(ctx, es); err != nil && ctx.Err() == nil {
		r.log.Warn("cannot record executors", "error", err)
	}
}

// workers counts the Spark executors that are registered now.
func (r *runner) workers(ctx context.Context) int {
	es, err := r.m.store.Executors(ctx, r.id, []ergane.ExecutorState{ergane.ExecutorRegistered}, ergane.Page{Limit: maxExecutors})
	if err != nil {
		return 0
	}
	n := 0
	for _, e := range es {
		if e.Type == ergane.ExecutorWorker {
			n++
		}
	}
	return n
}
