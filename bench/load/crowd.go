package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"github.com/google/uuid"

	"github.com/ergane-dev/ergane"
	"github.com/ergane-dev/ergane/internal/credentials"
	"github.com/ergane-dev/ergane/internal/kernel/kerneltest"
	"github.com/ergane-dev/ergane/internal/store"
)

// crowd makes n live sessions in a database that no server has open, and is
// the kernel of each until it is told to stop: a kernel costs the machine
// much, and the server the same whoever plays it. A line says when all are
// there, and one more each time that a server has said hello to all.
func crowd(dataDir string, n int) error {
	ids, err := idle(dataDir, n)
	if err != nil {
		return err
	}
	keys, err := credentials.OpenExisting(dataDir)
	if err != nil {
		return err
	}
	all := greetings{of: make([]int, n), greeted: map[int]int{}}
	for i, id := range ids {
		if err := kerneltest.Play(filepath.Join(dataDir, "sessions", id), keys.KernelToken(id), func() { all.add(i) }); err != nil {
			return err
		}
	}
	fmt.Printf("%d kernels are there\n", n)
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM)
	<-stop
	return nil
}

type greetings struct {
	mu      sync.Mutex
	of      []int       // how often each kernel was greeted; guarded by mu
	greeted map[int]int // how many kernels were greeted so often; guarded by mu
}

func (g *greetings) add(kernel int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.of[kernel]++
	times := g.of[kernel]
	if g.greeted[times]++; g.greeted[times] == len(g.of) {
		fmt.Printf("all were greeted %d times\n", times)
	}
}

// idle makes n IDLE sessions of an hour's patience.
func idle(dataDir string, n int) (ids []string, err error) {
	ctx := context.Background()
	s, err := store.Open(ctx, filepath.Join(dataDir, "ergane.db"))
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	for range n {
		id, at := uuid.NewString(), time.Now()
		_, _, err := s.CreateSession(ctx, ergane.Session{
			ID: id, WorkGroup: ergane.PrimaryWorkGroup,
			EngineVersion: ergane.EngineVersion{Selected: "AUTO", Effective: "PySpark engine version 3"},
			Engine:        ergane.EngineConfiguration{CoordinatorDpuSize: 1, DefaultExecutorDpuSize: 1, MaxConcurrentDpus: 2},
			IdleTimeout:   time.Hour, WorkingDirectory: "s3://ergane-results/primary/session/" + id,
			Status: ergane.SessionStatus{StartedAt: at},
		}, nil, ergane.Limits{})
		if err != nil {
			return nil, err
		}
		if _, _, err := s.MoveSession(ctx, ergane.SessionReady(id, at)); err != nil {
			return nil, err
		}
		ids = append(ids, id)
	}
	return ids, nil
}
