package kernel_test

import (
	"context"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ergane-dev/ergane"
	"github.com/ergane-dev/ergane/internal/kernel"
)

// pythonSpec is a spec of the real kernel, without Spark.
func pythonSpec(t testing.TB, s kernel.Spec) kernel.Spec {
	t.Helper()
	python := os.Getenv("ERGANE_TEST_PYTHON")
	if python == "" {
		t.Fatal("ERGANE_TEST_PYTHON has to name a Python that has IPython, for instance that of an installed engine (make test does this)")
	}
	src, err := filepath.Abs("../../kernel/src")
	if err != nil {
		t.Fatal(err)
	}
	s.Argv = []string{python, "-s", "-X", "utf8", src}
	s.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + filepath.Dir(s.Dir)}
	return s
}

func startPython(t *testing.T) (*kernel.Kernel, string) {
	t.Helper()
	s := pythonSpec(t, newSpec(t))
	k := startSpec(t, s)
	if err := k.Ready(patience(t)); err != nil {
		t.Fatal(err)
	}
	return k, s.Dir
}

func TestBlocksLearnTheFactsOfTheirSession(t *testing.T) {
	t.Parallel()
	s := pythonSpec(t, newSpec(t))
	s.Boot.Facts = kernel.Facts{WorkGroup: "team", EngineVersion: "an engine", StartedAt: time.Unix(1_700_000_000, 0)}
	k := startSpec(t, s)
	if err := k.Ready(patience(t)); err != nil {
		t.Fatal(err)
	}
	o := run(t, k, "one", "%status")
	sec, err := k.Spool().Section(ergane.Stdout, o.Stdout)
	got := text(t, sec, err)
	for _, want := range []string{filepath.Base(s.Dir) + "\n", " team\n", " an engine\n", " 2023-11-14 22:13:20 UTC\n"} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in %q", want, got)
		}
	}
}

func TestPythonRunsCalculationsThatShareVariables(t *testing.T) {
	t.Parallel()
	k, _ := startPython(t)
	run(t, k, "one", "x = 20")
	o := run(t, k, "two", "print(x + 1)\nx + 2")
	s, err := k.Spool().Section(ergane.Stdout, o.Stdout)
	if got := text(t, s, err); o.State != ergane.CalculationCompleted || !strings.HasPrefix(got, "21\n") {
		t.Errorf("outcome %+v, stdout %q", o, got)
	}
	s, err = k.Spool().Outputs("two", o.Outputs)
	if got := text(t, s, err); !strings.Contains(got, `"22"`) {
		t.Errorf("outputs %q", got)
	}
	o = run(t, k, "three", "1/0")
	s, err = k.Spool().Section(ergane.Stderr, o.Stderr)
	if got := text(t, s, err); o.State != ergane.CalculationFailed || o.Reason != "ZeroDivisionError: division by zero" ||
		!strings.HasPrefix(got, "  File \"<stdin>\", line 1, in <module>\n") {
		t.Errorf("outcome %+v, stderr %q", o, got)
	}
}

func TestPythonIsAdopted(t *testing.T) {
	t.Parallel()
	k, dir := startPython(t)
	exec(t, k, "one", "import time; time.sleep(0.2); y = 5; print('late')")
	k.Detach()
	k, err := kernel.Adopt(patience(t), dir, token, nil)
	must(t, err)
	endAfter(t, k)
	if o := wait(t, k, "one"); o.State != ergane.CalculationCompleted || o.Stdout.Len() != 5 {
		t.Errorf("outcome %+v", o)
	}
	if o := run(t, k, "two", "print(y)"); o.State != ergane.CalculationCompleted {
		t.Errorf("outcome %+v", o)
	}
}

func TestPythonIsInterruptedWhateverItDoes(t *testing.T) {
	t.Parallel()
	k, dir := startPython(t)
	for name, code := range map[string]string{
		"a loop":        "while True: pass",
		"a sleep":       "import time; time.sleep(3600)",
		"os-system":     "import os; os.system('sleep 3600')\nimport time; time.sleep(3600)",
		"a subprocess":  "import subprocess; subprocess.run(['sleep', '3600'])",
		"a thread join": "import threading; e = threading.Event(); e.wait()",
	} {
		id := strings.ReplaceAll(name, " ", "-")
		exec(t, k, id, "print('begun "+id+"')\n"+code)
		await(t, name+" begins", func() bool { return contains(filepath.Join(dir, "work/stdout"), "begun "+id) })
		if err := k.Interrupt(patience(t), id); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if o := wait(t, k, id); o.State != ergane.CalculationCanceled {
			t.Errorf("%s: %+v", name, o)
		}
		if o := run(t, k, "after-"+id, "print('on')"); o.State != ergane.CalculationCompleted {
			t.Errorf("after %s: %+v", name, o)
		}
	}
}

func TestInterruptsNeverHitPythonsNextCalculation(t *testing.T) {
	t.Parallel()
	k, _ := startPython(t)
	for i := range 50 {
		id, next := fmt.Sprintf("race-%d", i), fmt.Sprintf("next-%d", i)
		exec(t, k, id, fmt.Sprintf("import time; time.sleep(%g)", float64(i%10)*0.0005))
		if err := k.Interrupt(patience(t), id); err != nil {
			t.Fatal(err)
		}
		if o := run(t, k, next, "import time; time.sleep(0.001); print(1)"); o.State != ergane.CalculationCompleted {
			t.Fatalf("round %d hit the next calculation: %+v", i, o)
		}
	}
}

func TestTheEndOfPythonIsReported(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct{ code, want string }{
		"a memory fault": {"import ctypes; ctypes.string_at(1)", "was killed by signal 11 (segmentation fault)"},
		"an exit":        {"import os; os._exit(5)", "exited with status 5"},
		"a signal":       {"import os; os.kill(os.getpid(), 9)", "was killed by signal 9 (killed)"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			k, _ := startPython(t)
			exec(t, k, "one", "import subprocess; p = subprocess.Popen(['sleep', '3600'], start_new_session=True); print('kept')\n"+tc.code)
			_, err := k.Wait(patience(t), "one")
			g := gone(t, err)
			if got := g.Exit.String(); got != tc.want || !g.Started {
				t.Errorf("exit %q, started %v; want %q", got, g.Started, tc.want)
			}
			s, err := k.Spool().Section(ergane.Stdout, ergane.Range{End: math.MaxInt64})
			if got := text(t, s, err); got != "kept\n" {
				t.Errorf("stdout %q", got)
			}
		})
	}
}

func TestPythonThatHoldsItsInterpreterLockIsSlowAndNotDead(t *testing.T) {
	t.Parallel()
	k, dir := startPython(t)
	in := filepath.Join(dir, "in")
	exec(t, k, "one", fmt.Sprintf("open(%q, 'w').write('1')\nimport ctypes; ctypes.PyDLL(None).sleep(2)", in))
	pidIn(t, in)
	k.Detach()
	k, err := kernel.Adopt(patience(t), dir, token, nil)
	must(t, err)
	endAfter(t, k)
	if o := wait(t, k, "one"); o.State != ergane.CalculationCompleted {
		t.Errorf("outcome %+v", o)
	}
}

func TestPythonEndsWhenOrdered(t *testing.T) {
	t.Parallel()
	k, _ := startPython(t)
	exec(t, k, "one", "import time; time.sleep(3600)")
	if e := k.Shutdown(context.Background(), time.Minute); e.Code != 0 || e.Signal != 0 || !e.Known {
		t.Errorf("exit %+v", e)
	}
	if o := wait(t, k, "one"); o.State != ergane.CalculationCanceled {
		t.Errorf("what ran at Shutdown: %+v, want CANCELED", o)
	}
}

func TestAPythonThatCannotStartSaysWhy(t *testing.T) {
	t.Parallel()
	s := pythonSpec(t, newSpec(t))
	s.Argv[len(s.Argv)-1] = "/no/such/folder"
	_, err := kernel.Start(patience(t), s)
	if g := gone(t, err); !strings.Contains(g.Exit.Detail, "can't find '__main__' module") && !strings.Contains(g.Exit.Detail, "No such file") {
		t.Errorf("Start: %v", err)
	}
}

func BenchmarkPython(b *testing.B) {
	began := time.Now()
	k, err := kernel.Start(b.Context(), pythonSpec(b, serverSpec(b.TempDir()+"/sessions/s", "")))
	if err != nil {
		b.Fatal(err)
	}
	defer k.Detach()
	defer k.Shutdown(context.Background(), 0)
	hello := time.Since(began)
	if err := k.Ready(b.Context()); err != nil {
		b.Fatal(err)
	}
	ready := time.Since(began)
	for i := range b.N {
		id := fmt.Sprintf("c%d", i)
		if err := k.Exec(b.Context(), id, "print(1)"); err != nil {
			b.Fatal(err)
		}
		if _, err := k.Wait(b.Context(), id); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(hello.Milliseconds()), "ms/hello")
	b.ReportMetric(float64(ready.Milliseconds()), "ms/ready")
}
