package host

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"testing/synctest"
	"time"

	"github.com/ergane-dev/ergane"
	"github.com/ergane-dev/ergane/internal/engine"
)

// twoEngines knows the versions "Three", which is the default, and "Four".
func twoEngines(ctx context.Context, t *testing.T, install func(context.Context, engine.Options) (*engine.Engine, error)) *Engines {
	t.Helper()
	table, err := engine.ReadTable(fstest.MapFS{
		"engines.json": {Data: []byte(`{"default":"Three","engines":[{"id":"spark-3","names":["Three"]},{"id":"spark-4","names":["Four"]}]}`)},
		"spark-3/lock": {Data: []byte("3")}, "spark-4/lock": {Data: []byte("4")},
	})
	if err != nil {
		t.Fatal(err)
	}
	return &Engines{ctx: ctx, table: table, install: install, attempt: map[string]*attempt{}, log: slog.New(slog.DiscardHandler)}
}

func TestASessionRunsOnTheEngineThatItNames(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	by := map[*engine.Engine]string{}
	installs := 0
	ctx, cancel := context.WithCancel(t.Context())
	e := twoEngines(ctx, t, func(_ context.Context, o engine.Options) (*engine.Engine, error) {
		mu.Lock()
		defer mu.Unlock()
		got := new(engine.Engine)
		by[got] = o.Spec.Name
		installs++
		return got, nil
	})
	over := make(chan struct{})
	go func() { defer close(over); e.Run() }()
	defer func() { cancel(); <-over }()
	for range 2 {
		for version, want := range map[ergane.EngineVersion]string{
			{Selected: engine.Auto}:                    "spark-3",
			{Selected: engine.Auto, Effective: "Four"}: "spark-4", // what it said when it was made
			{Selected: "Four", Effective: "Four"}:      "spark-4",
		} {
			got, err := e.wait(ctx, version)
			if err != nil {
				t.Fatal(err)
			}
			mu.Lock()
			if by[got] != want {
				t.Errorf("%+v runs on %s", version, by[got])
			}
			mu.Unlock()
			if e.installed(version) != got {
				t.Errorf("%+v is not installed", version)
			}
		}
	}
	if installs != 2 {
		t.Errorf("%d installations of two engines", installs)
	}
	if _, err := e.wait(ctx, ergane.EngineVersion{Effective: "Five"}); ergane.CodeOf(err) != ergane.CodeInvalid {
		t.Errorf("an engine that nobody knows: %v", err)
	}
}

func TestAnEngineThatCannotBeInstalledDoesNotBlockOthers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		broken := true
		ctx, cancel := context.WithCancel(t.Context())
		e := twoEngines(ctx, t, func(_ context.Context, o engine.Options) (*engine.Engine, error) {
			time.Sleep(time.Second)
			if o.Spec.Name == "spark-4" && broken {
				return nil, errors.New("no way")
			}
			return new(engine.Engine), nil
		})
		over := make(chan struct{})
		go func() { defer close(over); e.Run() }()
		synctest.Wait()
		three, four := ergane.EngineVersion{Effective: "Three"}, ergane.EngineVersion{Effective: "Four"}
		if ok, _, _ := e.Ready(); ok {
			t.Error("ready before the engine is")
		}
		if _, err := e.wait(ctx, four); err == nil || !strings.Contains(err.Error(), "no way") {
			t.Errorf("a broken engine: %v", err)
		}
		if _, err := e.wait(ctx, three); err != nil {
			t.Errorf("the other one: %v", err)
		}
		if ok, _, err := e.Ready(); !ok {
			t.Errorf("not ready: %v", err)
		}
		broken = false
		if _, err := e.wait(ctx, four); err == nil {
			t.Error("it was tried again at once")
		}
		time.Sleep(retryPause)
		if _, err := e.wait(ctx, four); err != nil {
			t.Errorf("later: %v", err)
		}
		cancel()
		<-over
	})
}
