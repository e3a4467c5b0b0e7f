package kernel_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/ergane-dev/ergane/internal/kernel"
	"github.com/ergane-dev/ergane/internal/sandbox"
)

// inGroup gives a spec's kernel a group of its own, of which nothing may be left
// when the test ends. It is nil if this machine allows none; then Detect has said
// why.
func inGroup(t *testing.T, s *kernel.Spec, memory int64) *sandbox.Group {
	t.Helper()
	self, err := os.Executable()
	must(t, err)
	data := t.TempDir()
	stage := []string{self, "confine"}
	found, err := sandbox.Detect(t.Context(), sandbox.Setup{
		Stage: stage, DataDir: data, View: sandbox.System(data).AndRead(self), Users: sandbox.DefaultUsers,
	})
	must(t, err)
	if !found.Group.Active {
		if found.Group.Why == "" {
			t.Errorf("no control groups, and no reason: %+v", found)
		}
		t.Log("no control groups:", found.Group.Why)
		return nil
	}
	g := found.NewGroup(fmt.Sprintf("test-%d-%s", os.Getpid(), filepath.Base(s.Dir)), filepath.Base(s.Dir))
	g.Memory = memory
	s.Sandbox = &sandbox.Policy{Stage: stage, Dir: filepath.Join(s.Dir, "work", "tmp"), Group: g}
	t.Cleanup(func() {
		for _, dir := range g.Dirs {
			if _, err := os.Stat(filepath.Dir(dir)); err == nil {
				t.Errorf("%s is left", filepath.Dir(dir))
			}
		}
	})
	return g
}

// there reports whether anything is left of a group.
func there(g *sandbox.Group) bool {
	for _, dir := range g.Dirs {
		if _, err := os.Stat(dir); err == nil {
			return true
		}
	}
	return false
}

func TestAGroupEndsWithItsKernel(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(k *kernel.Kernel, shim int){
		"shutdown":       func(k *kernel.Kernel, _ int) { k.Shutdown(t.Context(), 0) },
		"kernel killed":  func(k *kernel.Kernel, _ int) { kill(k.PID()) },
		"shim killed":    func(_ *kernel.Kernel, shim int) { kill(shim) },
		"both killed":    func(k *kernel.Kernel, shim int) { kill(shim); kill(k.PID()) },
		"shim asked to":  func(_ *kernel.Kernel, shim int) { syscall.Kill(shim, syscall.SIGTERM) },
		"and its server": nil,
	} {
		s := newSpec(t)
		g := inGroup(t, &s, 1<<30)
		if g == nil {
			return
		}
		k := startSpec(t, s)
		pidFile := filepath.Join(t.TempDir(), "pid")
		run(t, k, "one", "escape echo $$ > "+pidFile+"; cd /; exec sleep 1000")
		escaped := pidIn(t, pidFile)
		var h kernel.Handle
		b, err := os.ReadFile(filepath.Join(s.Dir, "handle.json"))
		must(t, err)
		must(t, json.Unmarshal(b, &h))
		if b, err := os.ReadFile(fmt.Sprintf("/proc/%d/cgroup", h.ShimPID)); err != nil || strings.Contains(string(b), filepath.Base(g.Dirs[0])) {
			t.Errorf("%s: the shim is in the group: %s, %v", name, b, err)
		}
		if !there(g) {
			t.Errorf("%s: there is no group", name)
		}
		if end == nil { // the next server finds it
			k.Detach()
			kill(h.ShimPID)
			await(t, "the end of shim and kernel", func() bool { return !alive(h.ShimPID) && !alive(h.PID) })
			if k, err := kernel.Adopt(patience(t), s.Dir, token, nil); err == nil { // its threads are still ending
				<-k.Done()
				k.Detach()
			} else {
				gone(t, err)
			}
		} else {
			end(k, h.ShimPID)
			<-k.Done()
		}
		if there(g) || alive(escaped) {
			t.Errorf("%s: the group is left: %t, what escaped lives: %t", name, there(g), alive(escaped))
		}
	}
}

func TestAKernelThatReachesItsMemoryLimitSaysSo(t *testing.T) {
	t.Parallel()
	s := newSpec(t)
	if inGroup(t, &s, 128<<20) == nil {
		return
	}
	k := startSpec(t, s)
	if n, why := k.Killed(); n != 0 || why != "" {
		t.Errorf("%d killed at the start: %q", n, why)
	}
	exec(t, k, "one", "eat 256")
	_, err := k.Wait(patience(t), "one")
	if got := gone(t, err).Exit.String(); got != "was killed by signal 9 (killed): out of memory: the session's limit of 128 MiB is reached; "+
		"a larger spark.driver.memory or spark.driver.memoryOverhead raises it" {
		t.Errorf("exit %q", got)
	}
}

func TestADriverThatIsKilledAtTheLimitSaysSoAndOneThatIsKilledOtherwiseDoesNot(t *testing.T) {
	t.Parallel()
	for code, want := range map[string]string{
		"driver 137 9": "",
		// Linux kills the shell that uses the memory, in place of the driver.
		"spawn a=$(head -c 268435456 /dev/zero | tr '\\0' x); echo never\ndriver 137 9": "out of memory: the session's limit of 128 MiB is reached; " +
			"a larger spark.driver.memory or spark.driver.memoryOverhead raises it",
	} {
		// A kill counts for a second or two: on a busy machine the driver may come to its end later than that.
		got, there := driversDetail(t, code)
		for range 4 {
			if !there || got == want {
				break
			}
			got, there = driversDetail(t, code)
		}
		if there && got != want {
			t.Errorf("%q: %q", code, got)
		}
	}
}

// driversDetail runs code that ends the Spark driver and returns the detail of its exit; false if there are no groups.
func driversDetail(t *testing.T, code string) (detail string, there bool) {
	t.Helper()
	s := newSpec(t)
	if inGroup(t, &s, 128<<20) == nil {
		return "", false
	}
	k := startSpec(t, s)
	first, second, two := strings.Cut(code, "\n")
	run(t, k, "one", first)
	if two {
		await(t, "a kill", func() bool { n, _ := k.Killed(); return n > 0 })
		run(t, k, "two", second)
	}
	select {
	case <-k.DriverDied():
	case <-patience(t).Done():
		t.Fatal("the death of the driver was not reported")
	}
	return k.DriverExit().Detail, true
}

func TestAGroupWhoseKernelNeverStartedIsRemoved(t *testing.T) {
	t.Parallel()
	s := newSpec(t)
	g := inGroup(t, &s, 1<<30)
	if g == nil {
		return
	}
	s.Argv = []string{filepath.Join(t.TempDir(), "missing")}
	if k, err := kernel.Start(patience(t), s); err == nil {
		k.Detach()
		t.Fatal("it started")
	}
	if there(g) {
		t.Error("after a start that failed, its group is left")
	}

	// A shim that was killed before it could record its kernel.
	cut := newSpec(t)
	g = inGroup(t, &cut, 1<<30)
	must(t, os.MkdirAll(cut.Dir, 0o700))
	doc, err := json.Marshal(map[string]any{"v": 1, "dirs": g.Dirs})
	must(t, err)
	must(t, os.WriteFile(filepath.Join(cut.Dir, "group.json"), doc, 0o600))
	must(t, g.Make())
	if _, err := kernel.Adopt(patience(t), cut.Dir, token, nil); !errors.Is(err, kernel.ErrNotStarted) {
		t.Errorf("Adopt: %v", err)
	}
	if there(g) {
		t.Error("the group of a kernel that was never recorded is left")
	}
}

func TestAGroupOfSomebodyElseIsNeverTouched(t *testing.T) {
	t.Parallel()
	other := filepath.Join(t.TempDir(), "other", "one")
	must(t, os.MkdirAll(other, 0o700))
	for _, doc := range []string{"", "{", "[]", `{"v":1}`, `{"v":1,"dirs":["/"]}`, fmt.Sprintf(`{"v":1,"dirs":[%q]}`, other), fmt.Sprintf(`{"v":2,"dirs":[%q]}`, other)} {
		k, dir := startStandIn(t)
		must(t, os.WriteFile(filepath.Join(dir, "group.json"), []byte(doc), 0o600))
		k.Detach()
		k, err := kernel.Adopt(patience(t), dir, token, nil)
		must(t, err)
		endAfter(t, k)
		run(t, k, "one", "print on")
		k.Shutdown(t.Context(), 0)
		if _, err := os.Stat(other); err != nil {
			t.Errorf("%s: %v", doc, err)
		}
	}
}
