package kernel_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ergane-dev/ergane"
	"github.com/ergane-dev/ergane/internal/kernel"
)

func TestAKernelThatSpeaksAnotherVersionIsEnded(t *testing.T) {
	t.Parallel()
	for speaks, want := range map[string]string{
		"newer":   "speaks version 2 of the protocol, not 1",
		"refuses": "does not speak version 1 of the protocol",
	} {
		t.Run(speaks, func(t *testing.T) {
			t.Parallel()
			s := newSpec(t) // its end checks that no process is left
			s.Boot.Env = map[string]string{"STANDIN_START": "speaks " + speaks}
			k, err := kernel.Start(patience(t), s)
			if err == nil {
				k.Detach()
				t.Fatal("started")
			}
			if g := gone(t, err); !strings.Contains(g.Error(), "cannot work with it and has ended it: it "+want) {
				t.Errorf("the reason is %q", g.Error())
			}
		})
	}
}

// changeHandle changes fields of a session's handle.
func changeHandle(t *testing.T, dir string, fields map[string]any) {
	t.Helper()
	path := filepath.Join(dir, "handle.json")
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	h := map[string]any{}
	d := json.NewDecoder(strings.NewReader(string(b)))
	d.UseNumber()
	if err := d.Decode(&h); err != nil {
		t.Fatal(err)
	}
	for k, v := range fields {
		h[k] = v
	}
	if b, err = json.Marshal(h); err == nil {
		err = os.WriteFile(path, b, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func TestAHandleOfAnotherVersionEndsItsKernel(t *testing.T) {
	t.Parallel()
	for name, fields := range map[string]map[string]any{
		"newer":                      {"v": 2, "cgroup": "x"},
		"older":                      {"v": 0},
		"newer, with other fields":   {"v": 3, "pid": 0, "shim_pid": "gone", "boot_id": ""},
		"newer, with other ids only": {"v": 2, "pid": 0, "shim_pid": 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			k, dir := startStandIn(t)
			run(t, k, "one", "escape sleep 1000")
			pid := k.PID()
			k.Detach()
			changeHandle(t, dir, fields)
			_, err := kernel.Adopt(patience(t), dir, token, nil)
			if g := gone(t, err); !strings.Contains(g.Error(), "its handle has version") {
				t.Errorf("the reason is %q", g.Error())
			}
			if alive(pid) {
				t.Error("the kernel lives")
			}
			if left := processesOf(dir); len(left) > 0 {
				t.Errorf("processes left: %v", left)
			}
		})
	}
}

func TestAKernelThatSendsUnknownFieldsIsAdopted(t *testing.T) {
	t.Parallel()
	k, dir := startStandIn(t)
	pid := k.PID()
	exec(t, k, "one", "sleep 30ms\nprint late")
	k.Detach()
	changeHandle(t, dir, map[string]any{"cgroup": "/sys/fs/cgroup/x", "layers": []string{"uid", "landlock"}})
	a, err := kernel.Adopt(patience(t), dir, token, nil)
	if err != nil {
		t.Fatal(err)
	}
	endAfter(t, a)
	if a.PID() != pid {
		t.Errorf("adopted process %d, want %d", a.PID(), pid)
	}
	if o := wait(t, a, "one"); o.State != ergane.CalculationCompleted {
		t.Errorf("outcome %+v", o)
	}
	if e := a.Shutdown(patience(t), time.Minute); !e.Known {
		t.Errorf("exit %+v", e)
	}
}
