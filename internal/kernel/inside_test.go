package kernel_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/ergane-dev/ergane"
	"github.com/ergane-dev/ergane/internal/kernel"
	"github.com/ergane-dev/ergane/internal/sandbox"
)

// inNamespace gives a spec's kernel a process namespace of its own.
func inNamespace(t *testing.T, s *kernel.Spec) {
	t.Helper()
	self, err := os.Executable()
	must(t, err)
	work := filepath.Join(s.Dir, "work")
	tmp := filepath.Join(work, "tmp")
	must(t, os.MkdirAll(tmp, 0o700)) // the folders of the view have to exist
	view := sandbox.System(filepath.Dir(filepath.Dir(s.Dir))).AndRead(self).AndWrite(work)
	view.Tmp = tmp
	s.Sandbox = &sandbox.Policy{Stage: []string{self, "confine"}, Dir: tmp, Mounts: true, Pids: true, View: view}
}

func handleOf(t *testing.T, dir string) (h kernel.Handle) {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(dir, "handle.json"))
	must(t, err)
	must(t, json.Unmarshal(b, &h))
	return h
}

// inits are the processes between a shim and its kernel.
func inits(t *testing.T, shim int) []string {
	t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", shim, shim))
	must(t, err)
	return strings.Fields(string(b))
}

func TestAKernelInANamespaceIsFoundFromOutside(t *testing.T) {
	t.Parallel()
	s := newSpec(t)
	inNamespace(t, &s)
	k := startSpec(t, s)
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", k.PID()))
	must(t, err)
	if !strings.Contains(string(status), fmt.Sprintf("NSpid:\t%d\t", k.PID())) {
		t.Errorf("the kernel is in no namespace: %s", status)
	}
	if got := inits(t, handleOf(t, s.Dir).ShimPID); len(got) != 1 || got[0] == fmt.Sprint(k.PID()) {
		t.Errorf("children of the shim: %v, kernel %d", got, k.PID())
	}
	exec(t, k, "one", "sleep 30ms\nprint late")
	k.Detach()
	a, err := kernel.Adopt(patience(t), s.Dir, token, nil)
	must(t, err)
	endAfter(t, a)
	if a.PID() != k.PID() {
		t.Errorf("adopted process %d, want %d", a.PID(), k.PID())
	}
	if o := wait(t, a, "one"); o.State != ergane.CalculationCompleted {
		t.Errorf("outcome %+v", o)
	}
}

func TestAKernelInANamespaceEndsLikeOthersAndLeavesNothing(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		end  func(k *kernel.Kernel, h kernel.Handle)
		want string
	}{
		"shutdown":      {func(k *kernel.Kernel, _ kernel.Handle) { k.Shutdown(t.Context(), 0) }, ""},
		"kernel killed": {func(k *kernel.Kernel, _ kernel.Handle) { kill(k.PID()) }, "was killed by signal 9 (killed)"},
		"shim killed":   {func(_ *kernel.Kernel, h kernel.Handle) { kill(h.ShimPID) }, "the process that watched over it is gone, too"},
		"shim asked to": {func(_ *kernel.Kernel, h kernel.Handle) { syscall.Kill(h.ShimPID, syscall.SIGTERM) }, "its shim was told to stop"},
		"exit":          {func(k *kernel.Kernel, _ kernel.Handle) { k.Exec(t.Context(), "two", "exit 7") }, "exited with status 7"},
	} {
		s := newSpec(t)
		inNamespace(t, &s)
		k := startSpec(t, s)
		run(t, k, "one", "escape cd /; exec sleep 1000")
		h := handleOf(t, s.Dir)
		init := inits(t, h.ShimPID)[0]
		below, err := os.ReadFile(fmt.Sprintf("/proc/%s/task/%s/children", init, init))
		must(t, err)
		c.end(k, h)
		<-k.Done()
		if got := k.Exit().String(); !strings.Contains(got, c.want) {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
		for _, pid := range append(strings.Fields(string(below)), init) {
			var n int
			fmt.Sscan(pid, &n)
			if name == "shim killed" { // its end is not waited for
				await(t, "the end of all processes", func() bool { return !alive(n) })
			}
			if alive(n) {
				t.Errorf("%s: process %d is left", name, n)
			}
		}
	}
}

func TestAKernelWhoseNamespaceCannotBeMadeSaysWhy(t *testing.T) {
	t.Parallel()
	s := newSpec(t)
	inNamespace(t, &s)
	s.Sandbox.Dir = filepath.Join(s.Dir, "nowhere")
	if _, err := kernel.Start(patience(t), s); err == nil || !strings.Contains(err.Error(), "cannot set up the sandbox: mounts: ") {
		t.Errorf("%v", err)
	}
}
