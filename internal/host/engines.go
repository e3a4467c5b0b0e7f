package host

import (
	"cmp"
	"context"
	"fmt"
	"io/fs"
	"log/slog"
	"sync"
	"time"

	"github.com/ergane-dev/ergane"
	"github.com/ergane-dev/ergane/internal/engine"
	kernelsrc "github.com/ergane-dev/ergane/kernel"
)

// Engines are the engines of a server, each by the engine version that a
// session names: a session never runs on another one. The default is installed
// when the server starts, any other when a session first needs it.
type Engines struct {
	dir      string
	programs engine.Programs
	table    engine.Table
	kernel   fs.FS
	log      *slog.Logger
	// install is engine.Install, except in tests.
	install func(context.Context, engine.Options) (*engine.Engine, error)

	mu      sync.Mutex
	attempt map[string]*attempt // the present or last one, by engine.Spec.ID; guarded by mu
	// ctx ends with the server, and all installing with it.
	ctx     context.Context
	running sync.WaitGroup
}

// An attempt is an engine on its way: being installed, installed, or why not.
type attempt struct {
	over     chan struct{}   // closed when it has ended
	progress engine.Progress // guarded by engines.mu
	// Either, once it is over.
	engine *engine.Engine
	err    error
	ended  time.Time
}

// again tells whether another attempt is due.
func (a *attempt) again() bool {
	select {
	case <-a.over:
		return a.engine == nil && time.Since(a.ended) >= installAgain
	default:
		return false
	}
}

// installAgain is the pause between attempts to install.
const installAgain = 30 * time.Second

// NewEngines knows the engines of a folder; those that are missing are installed
// with these programs, until ctx ends.
func NewEngines(ctx context.Context, dir string, programs engine.Programs, log *slog.Logger) (*Engines, error) {
	table, err := engine.DefaultTable()
	if err != nil {
		return nil, err
	}
	source, err := KernelSource()
	if err != nil {
		return nil, err
	}
	return &Engines{ctx: ctx, dir: dir, programs: programs, table: table, kernel: source, log: log, install: engine.Install, attempt: map[string]*attempt{}}, nil
}

// KernelSource is the Python side of kernels, which engines carry.
func KernelSource() (fs.FS, error) {
	source, err := fs.Sub(kernelsrc.FS, "src")
	if err != nil {
		return nil, fmt.Errorf("read the kernel's source: %w", err)
	}
	return source, nil
}

func (e *Engines) resolve(selected string) (string, error) {
	_, effective, err := e.table.Resolve(selected)
	return effective, err
}

// spec is the engine of a session's engine version: the one that it says it runs on.
func (e *Engines) spec(v ergane.EngineVersion) (engine.Spec, error) {
	spec, _, err := e.table.Resolve(cmp.Or(v.Effective, v.Selected))
	return spec, err
}

// usual is the version of sessions that ask for none.
func (e *Engines) usual() ergane.EngineVersion { return ergane.EngineVersion{Selected: engine.Auto} }

// check refuses a session that could never start.
// What it returns are the properties that the session gets, under their normalised keys.
func (e *Engines) check(s ergane.Session) (map[string]string, error) {
	if _, err := e.spec(s.EngineVersion); err != nil {
		return nil, err
	}
	properties, _, err := engine.CheckProperties(s.Engine.Properties())
	return properties, err
}

// Run installs the default engine unless it is there, and tries again until
// that succeeds or the server stops. It returns when nothing is installed any more.
func (e *Engines) Run() {
	defer e.running.Wait()
	for {
		if _, err := e.wait(e.ctx, e.usual()); err == nil {
			<-e.ctx.Done()
		}
		select {
		case <-time.After(installAgain):
		case <-e.ctx.Done():
			return
		}
	}
}

// begin returns the attempt to install an engine: the one that is under way or
// has succeeded, or a new one after one that failed some time ago.
func (e *Engines) begin(spec engine.Spec) (*attempt, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	a := e.attempt[spec.ID()]
	if a != nil && !a.again() {
		return a, nil
	}
	if e.ctx.Err() != nil {
		return nil, context.Cause(e.ctx)
	}
	a = &attempt{over: make(chan struct{})}
	e.attempt[spec.ID()] = a
	e.running.Go(func() { e.try(spec, a) })
	return a, nil
}

// try installs an engine.
func (e *Engines) try(spec engine.Spec, a *attempt) {
	got, err := e.install(e.ctx, engine.Options{Dir: e.dir, Spec: spec, KernelFS: e.kernel, Programs: e.programs, Log: e.log, Progress: func(p engine.Progress) {
		e.mu.Lock()
		defer e.mu.Unlock()
		a.progress = p
	}})
	e.mu.Lock()
	a.engine, a.err, a.ended = got, err, time.Now()
	close(a.over)
	e.mu.Unlock()
	switch {
	case err == nil:
		e.log.Info("engine ready", "engine", spec.ID())
	case e.ctx.Err() == nil:
		e.log.Error("engine not installed", "engine", spec.ID(), "error", err)
	}
}

// wait returns the engine of a version, which it installs if it is not there.
// The error of a failed attempt says what to do.
func (e *Engines) wait(ctx context.Context, v ergane.EngineVersion) (*engine.Engine, error) {
	spec, err := e.spec(v)
	if err != nil {
		return nil, err
	}
	a, err := e.begin(spec)
	if err != nil {
		return nil, err
	}
	select {
	case <-a.over:
		return a.engine, a.err
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// addFormats installs the table formats that a session's properties name.
func (e *Engines) addFormats(ctx context.Context, got *engine.Engine, s ergane.Session) error {
	for _, name := range got.MissingFormats(s.Engine.Properties()) {
		began := time.Now()
		e.log.Info("installing a table format", "format", name, "session", s.ID)
		if err := got.InstallFormat(ctx, name, nil, e.log); err != nil {
			return fmt.Errorf("install the table format %s: %w", name, err)
		}
		e.log.Info("table format installed", "format", name, "session", s.ID, "took", time.Since(began).Round(time.Millisecond))
	}
	return nil
}

// installed is the engine of a version, or nil while there is none.
func (e *Engines) installed(v ergane.EngineVersion) *engine.Engine {
	spec, err := e.spec(v)
	if err != nil {
		return nil
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if a := e.attempt[spec.ID()]; a != nil {
		return a.engine
	}
	return nil
}

// Ready says whether sessions of the default engine can start, or how far its
// installation is, or why it failed.
func (e *Engines) Ready() (ok bool, p engine.Progress, err error) {
	spec, err := e.spec(e.usual())
	if err != nil {
		return false, p, err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	switch a := e.attempt[spec.ID()]; {
	case a == nil:
		return false, p, nil
	default:
		return a.engine != nil, a.progress, a.err
	}
}

// Default names the engine version of sessions that ask for none.
func (e *Engines) Default() string { return e.table.Default }
