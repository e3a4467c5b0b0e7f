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
	attempt map[string]*attempt // the current or last one, by engine.Spec.ID; guarded by mu
	// ctx ends with the server, and ends all installations.
	ctx     context.Context
	running sync.WaitGroup
}

// An attempt is one installation of an engine.
type attempt struct {
	done     chan struct{}   // closed when it has ended
	progress engine.Progress // guarded by Engines.mu
	// One of these is set when it has ended.
	engine *engine.Engine
	err    error
	ended  time.Time
}

// retryDue reports whether the attempt failed long enough ago to try again.
func (a *attempt) retryDue() bool {
	select {
	case <-a.done:
		return a.engine == nil && time.Since(a.ended) >= retryPause
	default:
		return false
	}
}

// retryPause is the pause between attempts to install.
const retryPause = 30 * time.Second

// NewEngines are the engines in the folder dir. Missing ones are installed with
// these programs; no engine is installed after ctx has ended.
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

// KernelSource is the Python source of kernels, which is unpacked into engines.
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

// defaultVersion is the version of sessions that ask for none.
func (e *Engines) defaultVersion() ergane.EngineVersion {
	return ergane.EngineVersion{Selected: engine.Auto}
}

// check refuses a session that could never start. It returns the session's Spark
// properties with normalised keys.
func (e *Engines) check(s ergane.Session) (map[string]string, error) {
	if _, err := e.spec(s.EngineVersion); err != nil {
		return nil, err
	}
	properties, _, err := engine.CheckProperties(s.Engine.Properties())
	return properties, err
}

// Run installs the default engine if it is missing, and tries again until that
// succeeds or ctx ends. It returns when ctx has ended and no installation runs.
func (e *Engines) Run() {
	defer e.running.Wait()
	for {
		if _, err := e.wait(e.ctx, e.defaultVersion()); err == nil {
			<-e.ctx.Done()
		}
		select {
		case <-time.After(retryPause):
		case <-e.ctx.Done():
			return
		}
	}
}

// begin returns the attempt to install an engine: the one that is running, has
// succeeded or failed just now, or else a new one.
func (e *Engines) begin(spec engine.Spec) (*attempt, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	a := e.attempt[spec.ID()]
	if a != nil && !a.retryDue() {
		return a, nil
	}
	if e.ctx.Err() != nil {
		return nil, context.Cause(e.ctx)
	}
	a = &attempt{done: make(chan struct{})}
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
	close(a.done)
	e.mu.Unlock()
	switch {
	case err == nil:
		e.log.Info("engine ready", "engine", spec.ID())
	case e.ctx.Err() == nil:
		e.log.Error("engine not installed", "engine", spec.ID(), "error", err)
	}
}

// wait returns the engine of a version, and installs it if it is missing.
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
	case <-a.done:
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

// installed is the engine of a version, or nil if it is not installed yet.
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

// Ready reports whether sessions of the default engine can start, and if not, the
// progress of its installation or why it failed.
func (e *Engines) Ready() (ok bool, p engine.Progress, err error) {
	spec, err := e.spec(e.defaultVersion())
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
