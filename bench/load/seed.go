package main

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/google/uuid"
	_ "modernc.org/sqlite" // the driver "sqlite"

	"github.com/ergane-dev/ergane"
	"github.com/ergane-dev/ergane/internal/store"
)

// longID is the session that has all calculations.
const longID = "00000000-0000-7000-8000-00000000beef"

// failedEvery: one calculation in so many has failed.
const failedEvery = 10

// seed makes two things as the server makes them, and copies of them. A server
// must have made the database.
func seed(dataDir string, calculations, sessions int) error {
	ctx := context.Background()
	path := filepath.Join(dataDir, "ergane.db")
	calculation, err := patterns(ctx, path)
	if err != nil {
		return err
	}
	db, err := sql.Open("sqlite", "file:"+path+"?_pragma=synchronous(0)")
	if err != nil {
		return err
	}
	db.SetMaxOpenConns(1)
	// In the past, and a millisecond apart, like what the server will make later.
	begin := time.Now().Add(-time.Hour - time.Duration(max(calculations, sessions))*time.Millisecond).UnixMilli()
	err = copies(db, "sessions", longID, sessions, func(i int) map[string]any {
		at := begin + int64(i)
		return map[string]any{"id": uuid.NewString(), "started_ms": at, "modified_ms": at, "ended_ms": at}
	})
	if err == nil {
		err = copies(db, "calculations", calculation, calculations, func(i int) map[string]any {
			at, state := begin+int64(i), ergane.CalculationCompleted
			if i%failedEvery == 0 {
				state = ergane.CalculationFailed
			}
			id := uuid.NewString()
			where := "s3://ergane-results/primary/session/" + longID + "/" + id
			result, _ := json.Marshal(ergane.ResultAt(where)) // nothing but texts
			return map[string]any{"id": id, "submitted_ms": at, "started_ms": at, "completed_ms": at,
				"state": string(state), "working_directory": where, "result": string(result)}
		})
	}
	return errors.Join(err, db.Close())
}

// patterns makes a session that has ended and a calculation of it, whose id it returns.
func patterns(ctx context.Context, path string) (calculation string, err error) {
	s, err := store.Open(ctx, path)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	at := time.Now()
	_, _, err = s.CreateSession(ctx, ergane.Session{
		ID: longID, WorkGroup: ergane.PrimaryWorkGroup, Description: "one of many",
		EngineVersion: ergane.EngineVersion{Selected: "AUTO", Effective: "PySpark engine version 3"},
		Engine:        ergane.EngineConfiguration{CoordinatorDpuSize: 1, DefaultExecutorDpuSize: 1, MaxConcurrentDpus: 20},
		IdleTimeout:   20 * time.Minute, WorkingDirectory: "s3://ergane-results/primary/session/" + longID,
		Status: ergane.SessionStatus{StartedAt: at},
	}, nil, ergane.Limits{})
	if err != nil {
		return "", err
	}
	if _, _, err := s.MoveSession(ctx, ergane.SessionReady(longID, at)); err != nil {
		return "", err
	}
	c, _, err := s.Submit(ctx, ergane.Calculation{
		ID: uuid.NewString(), SessionID: longID, Code: "spark.range(10).count()", Description: "one of many",
		WorkingDirectory: "s3://ergane-results/primary/session/" + longID, Status: ergane.CalculationStatus{SubmittedAt: at},
	}, nil)
	if err != nil {
		return "", err
	}
	end := ergane.CalculationCompletes(c.ID, at)
	end.DpuMillis, end.Result = 100, ergane.ResultAt(c.WorkingDirectory)
	if _, _, _, err := s.Settle(ctx, end, ergane.SessionFreed(longID, at)); err != nil {
		return "", err
	}
	if _, _, err := s.MoveSession(ctx, ergane.SessionStopping(longID, at, "Session was terminated per request")); err != nil {
		return "", err
	}
	_, _, err = s.MoveSession(ctx, ergane.SessionStopped(longID, at))
	return c.ID, err
}

// copies inserts n rows like the one with the given id, except for what differs.
func copies(db *sql.DB, table, id string, n int, differs func(i int) map[string]any) error {
	names, err := columns(db, table)
	if err != nil {
		return err
	}
	var changed, values []string
	sample := differs(0)
	for _, name := range names {
		if _, ok := sample[name]; ok {
			changed = append(changed, name)
			values = append(values, "?")
		} else {
			values = append(values, name)
		}
	}
	if len(changed) != len(sample) {
		return fmt.Errorf("table %s has other columns: %v", table, names)
	}
	text := "INSERT INTO " + table + " (" + strings.Join(names, ", ") + ") SELECT " + strings.Join(values, ", ") + " FROM " + table + " WHERE id = ?"
	const batch = 50_000
	for done := 0; done < n; done += batch {
		t, err := db.Begin()
		if err != nil {
			return err
		}
		row, err := t.Prepare(text)
		for i := done; err == nil && i < min(done+batch, n); i++ {
			different := differs(i)
			var args []any
			for _, name := range changed {
				args = append(args, different[name])
			}
			_, err = row.Exec(append(args, id)...)
		}
		if err != nil {
			return errors.Join(err, t.Rollback())
		}
		if err := t.Commit(); err != nil {
			return err
		}
	}
	return nil
}

func columns(db *sql.DB, table string) ([]string, error) {
	rows, err := db.Query("SELECT name FROM pragma_table_info(?)", table)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var names []string
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			return nil, err
		}
		names = append(names, name)
	}
	return names, rows.Err()
}
