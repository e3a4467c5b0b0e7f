package engine_test

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ergane-dev/ergane/internal/engine"
)

func TestInstallMakesAnEngineThatOpens(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	var seen []engine.Progress
	e, err := m.install(t.Context(), func(o *engine.Options) {
		o.Progress = func(p engine.Progress) { seen = append(seen, p) }
	})
	must(t, err)
	for _, f := range []string{"venv/bin/python", "jars/ion-1.jar", "conf/log4j2.properties", "engine.json",
		"venv/lib/python3.11/site-packages/pyspark/jars/spark-core_2.12-1.0.jar", "venv/lib/python3.11/site-packages/pyspark/sql/__init__.py",
		"venv/lib/python3.11/site-packages/pyspark-1.0.dist-info/METADATA"} {
		if _, err := os.Stat(filepath.Join(e.Dir(), f)); err != nil {
			t.Error(err)
		}
	}
	if st, err := os.Stat(filepath.Join(e.Dir(), "venv/lib/python3.11/site-packages/pyspark/bin/spark-submit")); err != nil || st.Mode()&0o100 == 0 {
		t.Errorf("spark-submit is not executable: %v %v", st, err)
	}
	for _, gone := range []string{"tmp", "download", "venv/lib/python3.11/site-packages/pyspark/examples", "venv/lib/python3.11/site-packages/pyspark/python/lib"} {
		if _, err := os.Stat(filepath.Join(e.Dir(), gone)); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s is there: %v", gone, err)
		}
	}
	last := seen[len(seen)-1]
	if last.Step != "done" || last.DoneBytes != 1000 || last.TotalBytes != 1000 {
		t.Errorf("last progress is %+v", last)
	}
}

func TestInstallAgainDoesNothingAgain(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	_, err := m.install(t.Context())
	must(t, err)
	before := len(m.runs())
	_, err = m.install(t.Context())
	must(t, err)
	for _, run := range m.runs()[before:] {
		if run != "probe" && run != "java" {
			t.Errorf("the second setup ran %s", run)
		}
	}
}

func TestInstallContinuesWhereItFailed(t *testing.T) {
	t.Parallel()
	const (
		offline = "ERROR: NewConnectionError: Failed to establish a new connection: [Errno -3] Temporary failure in name resolution"
		full    = "ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device"
		hashes  = "ERROR: THESE PACKAGES DO NOT MATCH THE HASHES FROM THE REQUIREMENTS FILE."
		pkix    = "javax.net.ssl.SSLHandshakeException: PKIX path building failed"
		venv    = "The virtual environment was not created successfully because ensurepip is not available."
	)
	for _, c := range []struct{ what, how, says string }{
		{"venv", venv, "cannot make virtual environments"},
		{"bootstrap", offline, "The package index cannot be reached"},
		{"packages-3.11", full, "The disk is full"},
		{"packages-3.11", hashes, "A download is damaged"},
		{"download", offline, "The package index cannot be reached"},
		{"download", "damage", "A download is damaged"},
		{"ivy", "damage", "A download is damaged"},
		{"ivy", pkix, "certificate is not trusted"},
		{"ivy", "gibberish", "The setup failed at the step jars"},
	} {
		t.Run(c.what+" "+c.how[:4], func(t *testing.T) {
			t.Parallel()
			m := newMachine(t)
			m.sabotage(t, c.what, c.how)
			_, err := m.install(t.Context())
			problem, ok := errors.AsType[*engine.Problem](err)
			if !ok || !strings.Contains(err.Error(), c.says) || problem.Advice == "" || !strings.HasSuffix(err.Error(), ".") {
				t.Fatalf("the error is %v", err)
			}
			o, err := m.options()
			must(t, err)
			if _, err := engine.Open(o.Dir, o.Spec); !errors.Is(err, engine.ErrNotInstalled) {
				t.Errorf("half an engine opens: %v", err)
			}
			before := m.runs()
			m.repair(t, c.what)
			_, err = m.install(t.Context())
			must(t, err)
			if c.what == "ivy" && slices.Contains(m.runs()[len(before):], "download") {
				t.Error("what was downloaded is downloaded again")
			}
		})
	}
}

func TestInstallWithoutArchiveWorksAndSaysSo(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	m.sabotage(t, "train", "the JVM crashed")
	e, err := m.install(t.Context())
	must(t, err)
	launch, err := e.Launch(engine.LaunchSpec{WorkDir: t.TempDir()})
	must(t, err)
	if slices.ContainsFunc(launch.Java.Argv, func(arg string) bool { return strings.Contains(arg, "SharedArchiveFile") }) {
		t.Error("an archive that is not there is used")
	}
	if f := finding(t, e, "archive"); f.OK || !strings.Contains(f.Detail, "the JVM crashed") {
		t.Errorf("doctor says %+v", f)
	}
	m.repair(t, "train")
	e, err = m.install(t.Context())
	must(t, err)
	if f := finding(t, e, "archive"); !f.OK {
		t.Errorf("after a second setup doctor says %+v", f)
	}
}

func TestKilledInstallEndsItsProgramsAndIsContinued(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	m.sabotage(t, "download", "hang")
	self, err := os.Executable()
	must(t, err)
	setup := exec.Command(self)
	setup.Env = append(os.Environ(), knobInstall+"="+m.dir)
	must(t, setup.Start())
	hanging := await(t, "the download", func() (int, bool) {
		raw, err := os.ReadFile(filepath.Join(m.dir, "hanging"))
		pid, _ := strconv.Atoi(string(raw))
		return pid, err == nil && pid > 0
	})
	must(t, setup.Process.Kill())
	setup.Wait()
	m.repair(t, "download")
	_, err = m.install(t.Context())
	must(t, err)
	// The second setup got the lock only because the first one's program had ended.
	if state, err := os.ReadFile("/proc/" + strconv.Itoa(hanging) + "/cmdline"); err == nil && len(state) > 0 {
		t.Errorf("the killed setup's program lives: %q", state)
	}
}

func TestCancelledInstallStops(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	m.sabotage(t, "packages-3.11", "hang")
	why := errors.New("the person pressed Ctrl-C")
	ctx, cancel := context.WithCancelCause(t.Context())
	go func() {
		for {
			if _, err := os.Stat(filepath.Join(m.dir, "hanging")); err == nil {
				cancel(why)
				return
			}
			if ctx.Err() != nil {
				return
			}
			time.Sleep(time.Millisecond)
		}
	}()
	if _, err := m.install(ctx); !errors.Is(err, why) {
		t.Errorf("Install returns %v", err)
	}
	cancel(nil)
	m.repair(t, "packages-3.11")
	_, err := m.install(t.Context())
	must(t, err)
}

func TestSecondInstallWaitsForTheFirst(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	m.sabotage(t, "download", "hang")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var both sync.WaitGroup
	both.Go(func() { m.install(ctx) })
	await(t, "the first setup", func() (bool, bool) {
		_, err := os.Stat(filepath.Join(m.dir, "hanging"))
		return true, err == nil
	})
	waits := make(chan string, 1)
	both.Go(func() {
		_, err := m.install(t.Context(), func(o *engine.Options) {
			o.Progress = func(p engine.Progress) {
				if p.Step == "wait" {
					select {
					case waits <- p.What:
					default:
					}
				}
			}
		})
		if err != nil {
			t.Error(err)
		}
	})
	if what := <-waits; !strings.Contains(what, "another setup") {
		t.Errorf("it says %q", what)
	}
	m.repair(t, "download")
	cancel() // the first one gives up, the second goes on from there
	both.Wait()
}

func TestInstallRefusesWhatCannotWork(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change func(*engine.Options)
		says   string
	}{
		"a Python that does not run":  {func(o *engine.Options) { o.Python = "/nowhere/python" }, "The Python /nowhere/python does not run"},
		"a Python of another version": {func(o *engine.Options) { o.Spec.Pythons = []string{"3.12", "3.13"} }, "does not run on Python 3.11.1"},
		"a Java that does not run":    {func(o *engine.Options) { o.Java = "/nowhere/java" }, "The Java /nowhere/java does not run"},
		"a Java of another version":   {func(o *engine.Options) { o.Spec.Java = []int{21} }, "does not run on Java 17.0.1"},
		"a disk that is too small":    {func(o *engine.Options) { o.Spec.DiskBytes = 1 << 60 }, "The engine needs"},
		"a folder that is a file":     {func(o *engine.Options) { o.Dir = "/dev/null/engines" }, "cannot be written"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := newMachine(t).install(t.Context(), c.change)
			if _, ok := errors.AsType[*engine.Problem](err); !ok || !strings.Contains(err.Error(), c.says) {
				t.Errorf("the error is %v", err)
			}
		})
	}
}

func finding(t *testing.T, e *engine.Engine, name string) engine.Finding {
	t.Helper()
	for _, f := range e.Check(t.Context()) {
		if f.Name == name {
			return f
		}
	}
	t.Fatalf("no finding is named %s", name)
	return engine.Finding{}
}

// await polls until ready reports true.
func await[T any](t *testing.T, what string, ready func() (T, bool)) T {
	t.Helper()
	deadline := time.Now().Add(30 * time.Second)
	for time.Now().Before(deadline) {
		if v, ok := ready(); ok {
			return v
		}
		time.Sleep(2 * time.Millisecond)
	}
	t.Fatalf("waited 30 s for %s", what)
	panic("unreachable")
}
