package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"sync"
	"time"

	"github.com/ergane-dev/ergane"
	"github.com/ergane-dev/ergane/internal/engine"
	kernelsrc "github.com/ergane-dev/ergane/kernel"
)

// engines is the engine of a server: being installed, installed, or why not.
type engines struct {
	dir    string
	table  engine.Table
	kernel fs.FS
	log    *slog.Logger

	mu       sync.Mutex
	engine   *engine.Engine
	err      error           // of the last attempt; guarded by mu
	progress engine.Progress // of the attempt that is under way; guarded by mu
	changed  chan struct{}   // closed when an attempt ends; guarded by mu
}

// installAgain is the pause between attempts to install.
const installAgain = 30 * time.Second

func newEngines(dir string, log *slog.Logger) (*engines, error) {
	table, err := engine.DefaultTable()
	if err != nil {
		return nil, err
	}
	source, err := fs.Sub(kernelsrc.FS, "src")
	if err != nil {
		return nil, fmt.Errorf("read the kernel's source: %w", err)
	}
	return &engines{dir: dir, table: table, kernel: source, log: log, changed: make(chan struct{})}, nil
}

func (e *engines) resolve(selected string) (string, error) {
	_, effective, err := e.table.Resolve(selected)
	return effective, err
}

// check refuses a session that could never start.
// What it returns are the properties that the session gets, under their normalised keys.
func (e *engines) check(s ergane.Session) (map[string]string, error) {
	if _, _, err := e.table.Resolve(s.EngineVersion.Selected); err != nil {
		return nil, err
	}
	properties, _, err := engine.CheckProperties(s.Engine.Properties())
	return properties, err
}

// run installs the default engine unless it is there, and tries again until
// that succeeds or ctx ends.
func (e *engines) run(ctx context.Context) {
	spec, _, err := e.table.Resolve(engine.Auto)
	for err == nil {
		e.begin()
		var got *engine.Engine
		got, err = engine.Install(ctx, engine.Options{Dir: e.dir, Spec: spec, KernelFS: e.kernel, Progress: e.report, Log: e.log})
		if ctx.Err() != nil {
			return
		}
		e.finish(got, err)
		if err == nil {
			e.log.Info("engine ready", "engine", spec.ID())
			return
		}
		e.log.Error("engine not installed; trying again", "error", err, "wait", installAgain)
		if sleep(ctx, installAgain) != nil {
			return
		}
		err = nil
	}
	e.finish(nil, err)
}

func (e *engines) report(p engine.Progress) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.progress = p
}

// begin starts an attempt: until it ends, sessions wait for it.
func (e *engines) begin() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.err, e.progress = nil, engine.Progress{}
}

func (e *engines) finish(got *engine.Engine, err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.engine, e.err = got, err
	close(e.changed)
	e.changed = make(chan struct{})
}

// wait returns the engine, after the attempt that is under way, if one is. The
// error of a failed attempt says what to do.
func (e *engines) wait(ctx context.Context) (*engine.Engine, error) {
	e.mu.Lock()
	got, err, changed := e.engine, e.err, e.changed
	e.mu.Unlock()
	if got != nil || err != nil {
		return got, err
	}
	select {
	case <-changed:
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.engine == nil && e.err == nil {
		return nil, errors.New("the engine is not installed")
	}
	return e.engine, e.err
}

// addFormats installs the table formats that a session's properties name.
func (e *engines) addFormats(ctx context.Context, got *engine.Engine, s ergane.Session) error {
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

// installed is the engine, or nil while there is none.
func (e *engines) installed() *engine.Engine {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.engine
}

// ready says whether sessions can start.
func (e *engines) ready() readiness {
	e.mu.Lock()
	defer e.mu.Unlock()
	switch {
	case e.engine != nil:
		return readiness{Ready: true}
	case e.err != nil:
		return readiness{Error: e.err.Error()}
	}
	what, detail := describe(e.progress)
	return readiness{What: what, Detail: detail}
}

// describe puts the progress of an installation into words: what, how much,
// how long still.
func describe(p engine.Progress) (what, detail string) {
	if p.Step == "" {
		return "looking for the engine", ""
	}
	what = p.What
	if p.TotalBytes == 0 || p.DoneBytes >= p.TotalBytes*99/100 { // nothing is left to download that counts
		return what, fmt.Sprintf("(%s so far)", p.Elapsed.Round(time.Second))
	}
	detail = size(p.DoneBytes) + " of " + size(p.TotalBytes)
	if p.Left > 0 {
		detail += fmt.Sprintf(", about %s left", p.Left)
	}
	return what, detail
}
