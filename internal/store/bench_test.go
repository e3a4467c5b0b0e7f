package store_test

import (
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/ergane-dev/ergane"
	"github.com/ergane-dev/ergane/internal/store"
)

// The benchmarks that end in AtSize work on a database with this many
// calculations, half of them of one session. It is built by the first of them.
var bigRows = flag.Int("rows", 1_000_000, "calculations in the big database of the benchmarks")

var big bigDatabase

type bigDatabase struct {
	once    sync.Once
	dir     string
	session string
}

func (d *bigDatabase) remove() {
	if d.dir != "" {
		os.RemoveAll(d.dir)
	}
}

// open returns a store on the big database and the session that has half of
// the calculations, which is IDLE.
func (d *bigDatabase) open(b *testing.B) (*store.Store, string) {
	b.Helper()
	d.once.Do(func() {
		var err error
		d.dir, err = os.MkdirTemp("", "ergane-bench-")
		must(b, err)
		s, err := store.Open(b.Context(), filepath.Join(d.dir, "big.db"))
		must(b, err)
		must(b, s.CreateWorkGroup(b.Context(), workGroup("primary")))
		d.session = idle(b, s)
		others := make([]string, 1000)
		for i := range others {
			others[i] = idle(b, s)
		}
		fill(b, s, d.session, others)
		must(b, s.Close())
	})
	return openAt(b, filepath.Join(d.dir, "big.db")), d.session
}

// fill inserts the calculations as the store would have, in a few long transactions.
func fill(b *testing.B, s *store.Store, session string, others []string) {
	b.Helper()
	_, err := s.Writer().Exec("PRAGMA synchronous=OFF")
	must(b, err)
	const batch = 50_000
	for done := 0; done < *bigRows; done += batch {
		t, err := s.Writer().Begin()
		must(b, err)
		row, err := t.Prepare(`INSERT INTO calculations VALUES ($1, $2, '', $3, $4, '', $5, $5, $5, 100, '100%', $6, NULL)`)
		must(b, err)
		code, err := t.Prepare(`INSERT INTO codes VALUES ($1, $2)`)
		must(b, err)
		for i := done; i < min(done+batch, *bigRows); i++ {
			id, owner := newID(), session
			if i%2 == 1 {
				owner = others[i%len(others)]
			}
			state := ergane.CalculationCompleted
			if i%1000 == 0 {
				state = ergane.CalculationFailed
			}
			where := "s3://ergane-results/primary/session/" + owner + "/" + id
			result := fmt.Sprintf(`{"StdOut":"%[1]s/stdout","StdErr":"%[1]s/stderr","Results":"%[1]s/results"}`, where)
			_, err = row.Exec(id, owner, where, string(state), dawn.Add(time.Duration(i)*time.Millisecond).UnixMilli(), result)
			must(b, err)
			_, err = code.Exec(id, []byte("spark.range(10).count()"))
			must(b, err)
		}
		must(b, t.Commit())
	}
}

// idle makes an IDLE session like those that clients start.
func idle(b testing.TB, s *store.Store) string {
	b.Helper()
	id := newID()
	_, _, err := s.CreateSession(context.Background(), ergane.Session{ID: id, WorkGroup: "primary", Description: "a session",
		EngineVersion: ergane.EngineVersion{Selected: "AUTO", Effective: "PySpark engine version 3"},
		Engine:        ergane.EngineConfiguration{CoordinatorDpuSize: 1, DefaultExecutorDpuSize: 1, MaxConcurrentDpus: 20, SparkProperties: map[string]string{"spark.sql.shuffle.partitions": "8"}},
		IdleTimeout:   20 * time.Minute, WorkingDirectory: "s3://ergane-results/primary/session/" + id, Status: ergane.SessionStatus{StartedAt: dawn}}, nil, ergane.Limits{})
	must(b, err)
	_, _, err = s.MoveSession(context.Background(), ergane.SessionReady(id, dawn))
	must(b, err)
	return id
}

func small(b *testing.B) *store.Store {
	b.Helper()
	s := openAt(b, filepath.Join(b.TempDir(), "ergane.db"))
	must(b, s.CreateWorkGroup(b.Context(), workGroup("primary")))
	return s
}

func BenchmarkCreateSession(b *testing.B) {
	s := small(b)
	for b.Loop() {
		_, _, err := s.CreateSession(b.Context(), ergane.Session{ID: newID(), WorkGroup: "primary", Status: ergane.SessionStatus{StartedAt: dawn}}, nil, ergane.Limits{})
		must(b, err)
	}
}

func BenchmarkGetSession(b *testing.B) {
	s := small(b)
	id := idle(b, s)
	b.Run("one caller", func(b *testing.B) {
		for b.Loop() {
			_, err := s.Session(b.Context(), id)
			must(b, err)
		}
	})
	b.Run("many callers", func(b *testing.B) {
		b.SetParallelism(8)
		b.RunParallel(func(p *testing.PB) {
			for p.Next() {
				if _, err := s.Session(b.Context(), id); err != nil {
					b.Error(err)
				}
			}
		})
	})
}

func submitAndSettle(b *testing.B, s *store.Store, session string) {
	at := dawn.Add(1000 * time.Hour)
	c, _, err := s.Submit(b.Context(), ergane.Calculation{ID: newID(), SessionID: session, Code: "spark.range(10).count()",
		WorkingDirectory: "s3://ergane-results/primary/session/x/y", Status: ergane.CalculationStatus{SubmittedAt: at}},
		[]ergane.Token{{Scope: "s", Value: newID(), Hash: "h", Until: at.Add(time.Minute)}})
	must(b, err)
	end := ergane.CalculationCompletes(c.ID, at)
	end.DpuMillis, end.Result = 1, ergane.ResultAt(c.WorkingDirectory)
	_, _, moved, err := s.Settle(b.Context(), end, ergane.SessionFreed(session, at))
	must(b, err)
	if !moved {
		b.Fatal("lost")
	}
}

func BenchmarkSubmitAndSettle(b *testing.B) {
	s := small(b)
	session := idle(b, s)
	for b.Loop() {
		submitAndSettle(b, s, session)
	}
}

func BenchmarkSubmitAndSettleAtSize(b *testing.B) {
	s, session := big.open(b)
	for b.Loop() {
		submitAndSettle(b, s, session)
	}
}

func BenchmarkGetCalculationAtSize(b *testing.B) {
	s, session := big.open(b)
	page, err := s.Calculations(b.Context(), session, nil, ergane.Page{Limit: 100})
	must(b, err)
	for i := 0; b.Loop(); i++ {
		_, err := s.Calculation(b.Context(), page[i%100].ID)
		must(b, err)
	}
}

func BenchmarkCensusAtSize(b *testing.B) {
	s, _ := big.open(b)
	for b.Loop() {
		_, err := s.Census(b.Context())
		must(b, err)
	}
}

func BenchmarkListAtSize(b *testing.B) {
	s, session := big.open(b)
	middle := ergane.Key{At: dawn.Add(time.Duration(*bigRows/2) * time.Millisecond)}
	for name, list := range map[string]struct {
		states []ergane.CalculationState
		after  ergane.Key
	}{
		"first 50":                {},
		"50 from the middle":      {after: middle},
		"50 failed of a thousand": {states: []ergane.CalculationState{ergane.CalculationFailed}, after: middle},
		"three states":            {states: []ergane.CalculationState{ergane.CalculationFailed, ergane.CalculationCompleted, ergane.CalculationCanceled}, after: middle},
		"none running":            {states: []ergane.CalculationState{ergane.CalculationRunning}},
	} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				_, err := s.Calculations(b.Context(), session, list.states, ergane.Page{Limit: 50, After: list.after})
				must(b, err)
			}
		})
	}
}
