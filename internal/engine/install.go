package engine

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/ergane-dev/ergane/internal/flock"
)

// layoutVersion says how the folder of an engine is laid out. Engines of
// another layout are other engines.
const layoutVersion = 1

// Options say what to install and where.
type Options struct {
	// Dir is the folder of all engines, shared by all data directories. It is
	// made if it is missing. The engine itself is the folder Dir/Spec.ID().
	Dir  string
	Spec Spec
	// KernelFS is the kernel's Python source; nil leaves the kernel out.
	KernelFS fs.FS
	Programs
	// NoArchive leaves out the class data archive. The engine then starts
	// its JVMs about three seconds slower.
	NoArchive bool
	// Progress is called with the progress so far, at most ten times a second, by
	// one goroutine at a time. It must not block. It may be nil.
	Progress func(Progress)
	Log      *slog.Logger // nil: none
}

// Programs are the programs to use (ERGANE_PYTHON and ERGANE_JAVA). Install
// searches for one that is empty. An engine keeps the Python it was installed with.
type Programs struct {
	Python string
	Java   string // the program, or a Java home
}

// Install makes sure that the engine is installed and returns it. It does not
// repeat steps that an earlier call finished, so it continues an interrupted
// installation; of two at once the second waits. Every download is checked
// against the hashes of the lock files. pip's and Ivy's own configuration says
// where to download from. Errors that a person can fix are of the type *Problem.
func Install(ctx context.Context, o Options) (*Engine, error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	// Everything is recorded by its absolute path.
	dir, err := filepath.Abs(o.Dir)
	if err != nil {
		return nil, fmt.Errorf("find the engine folder: %w", err)
	}
	o.Dir = dir
	in := &installation{Options: o, dir: filepath.Join(o.Dir, o.Spec.ID()), report: newReporter(o.Progress)}
	if err := in.makeFolders(); err != nil {
		return nil, err
	}
	if err := in.lock(ctx); err != nil {
		return nil, err
	}
	defer in.held.Release()
	if err := in.run(ctx); err != nil {
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		o.Log.Error("setup failed", keyEngine, o.Spec.ID(), keyError, err)
		return nil, err
	}
	return Open(o.Dir, o.Spec)
}

// installation is one run of Install.
type installation struct {
	Options
	dir    string
	held   *flock.Lock
	report *reporter
	made   manifest // what the steps found; written at the end
}

func (in *installation) path(elem ...string) string {
	return filepath.Join(append([]string{in.dir}, elem...)...)
}

// makeFolders makes the engine's folder. Engines hold no secrets, and sessions
// may run under user ids of their own: so others may read.
func (in *installation) makeFolders() error {
	for _, dir := range []string{in.dir, in.path("steps"), in.path("tmp")} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return &Problem{Step: "folder", What: fmt.Sprintf("The engine folder %s cannot be written", in.Dir),
				Advice: "Make it writable or choose another with --engine-dir", Cause: err}
		}
	}
	return nil
}

// lock takes the engine's lock; it waits while another process holds it.
func (in *installation) lock(ctx context.Context) error {
	path := in.dir + ".lock"
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		held, err := flock.Acquire(path)
		if err == nil {
			in.held = held
			return nil
		}
		if !errors.Is(err, flock.ErrHeld) {
			return &Problem{Step: "lock", What: "The engine's lock file cannot be used",
				Advice: fmt.Sprintf("Make %s writable or choose another folder with --engine-dir", path), Cause: err}
		}
		in.report.say("wait", "another setup is running in "+in.Dir+"; waiting for it to end")
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-tick.C:
		}
	}
}

// run carries out the steps. PySpark's archive is the largest download, so the
// packages are fetched and installed at the same time; the jars come after it,
// because PySpark contains the Ivy that fetches them.
func (in *installation) run(ctx context.Context) error {
	if ready, err := in.complete(ctx); err != nil {
		return err
	} else if ready {
		return in.finish(ctx)
	}
	if err := in.enoughDisk(); err != nil {
		return err
	}
	python, err := in.choosePython(ctx)
	if err != nil {
		return err
	}
	in.made = manifest{Version: layoutVersion, Spark: in.Spec.Spark, Python: python}
	if err := in.makeVenv(ctx, python); err != nil {
		return err
	}
	if err := in.chooseJava(ctx); err != nil {
		return err
	}
	if err := in.download(ctx); err != nil {
		return err
	}
	if err := in.compile(ctx); err != nil {
		return err
	}
	return in.finish(ctx)
}

// download fetches and installs everything that comes from elsewhere.
func (in *installation) download(ctx context.Context) error {
	if err := in.expectDownloads(); err != nil {
		return err
	}
	java := make(chan struct{}) // closed once a Java is there
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error {
		if err := in.installJava(ctx); err != nil {
			return err
		}
		close(java)
		return in.installPackages(ctx)
	})
	group.Go(func() error {
		if err := in.installPySpark(ctx); err != nil {
			return err
		}
		select {
		case <-java:
			return in.installJars(ctx)
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	})
	return group.Wait()
}

// complete reports whether the engine is installed and its Python works. It is
// then kept whatever ERGANE_PYTHON says now: sessions may be running in it. Only
// the Java may change, for sessions that are started later.
func (in *installation) complete(ctx context.Context) (bool, error) {
	e, err := Open(in.Dir, in.Spec)
	if err != nil {
		return false, nil
	}
	if _, err := probePython(ctx, e.python()); err != nil {
		if ctx.Err() != nil {
			return false, context.Cause(ctx)
		}
		in.Log.Warn("the engine's Python no longer runs: installing it again", keyEngine, in.Spec.ID(), keyError, err)
		return false, nil
	}
	in.made = e.made
	java, err := probeJava(ctx, e.made.Java.Path)
	if err == nil && in.Java == "" {
		java.Wheel = e.made.Java.Wheel
		in.made.Java = java
		return true, nil
	}
	if err := in.chooseJava(ctx); err != nil {
		return false, err
	}
	return true, in.installJava(ctx)
}

// finish does what depends on this binary and this JVM, then declares the engine complete.
func (in *installation) finish(ctx context.Context) error {
	if err := in.writeConf(); err != nil {
		return err
	}
	if in.KernelFS != nil {
		kernel, err := extractKernel(in.KernelFS, in.dir)
		if err != nil {
			return explain("kernel", "", err)
		}
		in.made.Kernel = filepath.Base(kernel)
	}
	if err := in.makeArchive(ctx); err != nil {
		return err
	}
	if err := errors.Join(os.RemoveAll(in.path("tmp")), syncTree(in.dir)); err != nil {
		return explain("finish", "", err)
	}
	in.made.InstalledAt = time.Now().UTC().Truncate(time.Second)
	if err := writeJSON(in.path(manifestFile), in.made); err != nil {
		return explain("finish", "", err)
	}
	in.report.say("done", "engine "+in.Spec.ID()+" is ready")
	return nil
}
