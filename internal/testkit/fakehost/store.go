package fakehost

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/ergane-dev/ergane"
	"github.com/ergane-dev/ergane/internal/session"
)

// ErrStore is the error of a Store that is made to fail.
var ErrStore = errors.New("the disk that holds the database is full")

// Store is a real store as one server sees it. Every method that runners and
// recovery call can be made to fail; others go directly to the real store.
type Store struct {
	session.Store
	power *Power

	mu    sync.Mutex
	fails map[string]int      // calls that are still to fail, by method; guarded by mu
	loses map[string]int      // calls whose answer is still to be lost, by method; guarded by mu
	hook  func(method string) // guarded by mu
}

// NewStore makes a Store that works until the power is cut.
func NewStore(s session.Store, power *Power) *Store {
	return &Store{Store: s, power: power, fails: map[string]int{}, loses: map[string]int{}}
}

// Any stands for all methods.
const Any = "*"

// Fail makes the next n calls of a method fail without an effect.
func (s *Store) Fail(method string, n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fails[method] = n
}

// Lose makes the next n calls of a method fail after they had their effect.
func (s *Store) Lose(method string, n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.loses[method] = n
}

// Before sets a function that is called before every call, with the method's name; nil removes it.
func (s *Store) Before(hook func(method string)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.hook = hook
}

func take(from map[string]int, method string) bool {
	for _, m := range []string{method, Any} {
		if from[m] > 0 {
			from[m]--
			return true
		}
	}
	return false
}

// do makes a call; its value is only valid without an error.
func do[T any](ctx context.Context, s *Store, method string, call func(context.Context) (T, error)) (v T, err error) {
	s.mu.Lock()
	hook := s.hook
	s.mu.Unlock()
	if hook != nil {
		hook(method)
	}
	s.mu.Lock()
	fail := take(s.fails, method)
	lose := !fail && take(s.loses, method)
	s.mu.Unlock()
	err = s.power.call(ctx, method, func(ctx context.Context) error {
		if fail {
			return ErrStore
		}
		if v, err = call(ctx); err == nil && lose {
			return ErrStore
		}
		return err
	})
	if err != nil {
		var none T
		return none, err
	}
	return v, nil
}

type nothing = struct{}

type made[T any] struct {
	thing T
	is    bool // created, moved
}

func pair[T any](v T, is bool, err error) (made[T], error) { return made[T]{v, is}, err }

func (s *Store) exec(ctx context.Context, method string, call func(context.Context) error) error {
	_, err := do(ctx, s, method, func(ctx context.Context) (nothing, error) { return nothing{}, call(ctx) })
	return err
}

func (s *Store) CreateWorkGroup(ctx context.Context, w ergane.WorkGroup) error {
	return s.exec(ctx, "CreateWorkGroup", func(ctx context.Context) error { return s.Store.CreateWorkGroup(ctx, w) })
}

func (s *Store) CondemnedWorkGroups(ctx context.Context) ([]string, error) {
	return do(ctx, s, "CondemnedWorkGroups", s.Store.CondemnedWorkGroups)
}

func (s *Store) PurgeWorkGroup(ctx context.Context, name string) (ergane.Purge, error) {
	return do(ctx, s, "PurgeWorkGroup", func(ctx context.Context) (ergane.Purge, error) { return s.Store.PurgeWorkGroup(ctx, name) })
}

func (s *Store) WorkGroups(ctx context.Context, p ergane.Page) ([]ergane.WorkGroup, error) {
	return do(ctx, s, "WorkGroups", func(ctx context.Context) ([]ergane.WorkGroup, error) { return s.Store.WorkGroups(ctx, p) })
}

func (s *Store) Expired(ctx context.Context, workgroup string, before time.Time, p ergane.Page) ([]ergane.Session, error) {
	return do(ctx, s, "Expired", func(ctx context.Context) ([]ergane.Session, error) { return s.Store.Expired(ctx, workgroup, before, p) })
}

func (s *Store) Expire(ctx context.Context, ids []string, before time.Time) (gone, left []string, err error) {
	gone, err = do(ctx, s, "Expire", func(ctx context.Context) ([]string, error) {
		gone, l, err := s.Store.Expire(ctx, ids, before)
		left = l
		return gone, err
	})
	if err != nil {
		left = nil
	}
	return gone, left, err
}

func (s *Store) Reclaim(ctx context.Context) (bool, error) {
	return do(ctx, s, "Reclaim", s.Store.Reclaim)
}

func (s *Store) WorkGroup(ctx context.Context, name string) (ergane.WorkGroup, error) {
	return do(ctx, s, "WorkGroup", func(ctx context.Context) (ergane.WorkGroup, error) { return s.Store.WorkGroup(ctx, name) })
}

func (s *Store) CreateSession(ctx context.Context, n ergane.Session, tokens []ergane.Token, l ergane.Limits) (ergane.Session, bool, error) {
	v, err := do(ctx, s, "CreateSession", func(ctx context.Context) (made[ergane.Session], error) {
		return pair(s.Store.CreateSession(ctx, n, tokens, l))
	})
	return v.thing, v.is, err
}

func (s *Store) Session(ctx context.Context, id string) (ergane.Session, error) {
	return do(ctx, s, "Session", func(ctx context.Context) (ergane.Session, error) { return s.Store.Session(ctx, id) })
}

func (s *Store) LiveSessions(ctx context.Context, owner string) ([]ergane.Session, error) {
	return do(ctx, s, "LiveSessions", func(ctx context.Context) ([]ergane.Session, error) { return s.Store.LiveSessions(ctx, owner) })
}

func (s *Store) RenewLease(ctx context.Context, server string, until time.Time) error {
	return s.exec(ctx, "RenewLease", func(ctx context.Context) error { return s.Store.RenewLease(ctx, server, until) })
}

func (s *Store) TakeOver(ctx context.Context, server string, at time.Time) ([]ergane.Session, error) {
	return do(ctx, s, "TakeOver", func(ctx context.Context) ([]ergane.Session, error) { return s.Store.TakeOver(ctx, server, at) })
}

func (s *Store) MoveSession(ctx context.Context, m ergane.SessionMove) (ergane.Session, bool, error) {
	v, err := do(ctx, s, "MoveSession", func(ctx context.Context) (made[ergane.Session], error) {
		return pair(s.Store.MoveSession(ctx, m))
	})
	return v.thing, v.is, err
}

func (s *Store) Submit(ctx context.Context, c ergane.Calculation, tokens []ergane.Token) (ergane.Calculation, bool, error) {
	v, err := do(ctx, s, "Submit", func(ctx context.Context) (made[ergane.Calculation], error) {
		return pair(s.Store.Submit(ctx, c, tokens))
	})
	return v.thing, v.is, err
}

func (s *Store) Calculation(ctx context.Context, id string) (ergane.Calculation, error) {
	return do(ctx, s, "Calculation", func(ctx context.Context) (ergane.Calculation, error) { return s.Store.Calculation(ctx, id) })
}

func (s *Store) OpenCalculations(ctx context.Context, id string) ([]ergane.Calculation, error) {
	return do(ctx, s, "OpenCalculations", func(ctx context.Context) ([]ergane.Calculation, error) { return s.Store.OpenCalculations(ctx, id) })
}

func (s *Store) MoveCalculation(ctx context.Context, m ergane.CalculationMove) (ergane.Calculation, bool, error) {
	v, err := do(ctx, s, "MoveCalculation", func(ctx context.Context) (made[ergane.Calculation], error) {
		return pair(s.Store.MoveCalculation(ctx, m))
	})
	return v.thing, v.is, err
}

func (s *Store) Settle(ctx context.Context, c ergane.CalculationMove, m ergane.SessionMove) (ergane.Calculation, ergane.Session, bool, error) {
	var session ergane.Session
	v, err := do(ctx, s, "Settle", func(ctx context.Context) (made[ergane.Calculation], error) {
		calculation, now, moved, err := s.Store.Settle(ctx, c, m)
		session = now
		return pair(calculation, moved, err)
	})
	if err != nil {
		session = ergane.Session{}
	}
	return v.thing, session, v.is, err
}

func (s *Store) RecordDelivery(ctx context.Context, id string, r ergane.CalculationResult) error {
	return s.exec(ctx, "RecordDelivery", func(ctx context.Context) error { return s.Store.RecordDelivery(ctx, id, r) })
}

func (s *Store) SetProgress(ctx context.Context, all map[string]ergane.CalculationStatistics) error {
	return s.exec(ctx, "SetProgress", func(ctx context.Context) error { return s.Store.SetProgress(ctx, all) })
}

func (s *Store) SaveExecutors(ctx context.Context, es []ergane.Executor) error {
	return s.exec(ctx, "SaveExecutors", func(ctx context.Context) error { return s.Store.SaveExecutors(ctx, es) })
}

func (s *Store) EndExecutors(ctx context.Context, id string, to ergane.ExecutorState, at time.Time) error {
	return s.exec(ctx, "EndExecutors", func(ctx context.Context) error { return s.Store.EndExecutors(ctx, id, to, at) })
}

func (s *Store) Executors(ctx context.Context, id string, states []ergane.ExecutorState, p ergane.Page) ([]ergane.Executor, error) {
	return do(ctx, s, "Executors", func(ctx context.Context) ([]ergane.Executor, error) { return s.Store.Executors(ctx, id, states, p) })
}

func (s *Store) PendingDeliveries(ctx context.Context) ([]ergane.PendingDelivery, error) {
	return do(ctx, s, "PendingDeliveries", s.Store.PendingDeliveries)
}

func (s *Store) DiscardDelivery(ctx context.Context, id, reason string) error {
	return s.exec(ctx, "DiscardDelivery", func(ctx context.Context) error { return s.Store.DiscardDelivery(ctx, id, reason) })
}

func (s *Store) HasPendingDelivery(ctx context.Context, sessionID string) (bool, error) {
	return do(ctx, s, "HasPendingDelivery", func(ctx context.Context) (bool, error) { return s.Store.HasPendingDelivery(ctx, sessionID) })
}
