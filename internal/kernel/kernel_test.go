package kernel_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/ergane-dev/ergane"
	"github.com/ergane-dev/ergane/internal/flock"
	"github.com/ergane-dev/ergane/internal/kernel"
	"github.com/ergane-dev/ergane/internal/kernel/kerneltest"
)

func TestMain(m *testing.M) {
	kerneltest.RunChild()
	if len(os.Args) > 1 && os.Args[1] == serverArgument {
		os.Exit(serverMain(os.Args[2:]))
	}
	if len(os.Args) > 1 && os.Args[1] == starvedArgument {
		os.Exit(starvedMain(os.Args[2]))
	}
	goleak.VerifyTestMain(m)
}

const token = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

var sessions atomic.Int64

// newSpec is a spec of a stand-in kernel in a session folder of its own, which must be empty of processes when the test ends.
func newSpec(t *testing.T) kernel.Spec {
	t.Helper()
	data := t.TempDir()
	sid := fmt.Sprintf("00000000-0000-4000-8000-%012d", sessions.Add(1))
	s := serverSpec(filepath.Join(data, "sessions", sid), filepath.Join(data, "lock"))
	t.Cleanup(func() {
		if left := processesOf(s.Dir); len(left) > 0 {
			t.Errorf("processes left behind: %v", left)
		}
	})
	return s
}

func serverSpec(dir, lock string) kernel.Spec {
	return kernel.Spec{
		Dir: dir, Argv: kerneltest.Argv(), Env: []string{"PATH=" + os.Getenv("PATH")}, Token: token, ServerLock: lock,
	}
}

func startSpec(t *testing.T, s kernel.Spec) *kernel.Kernel {
	t.Helper()
	k, err := kernel.Start(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	endAfter(t, k)
	return k
}

func endAfter(t *testing.T, k *kernel.Kernel) {
	t.Cleanup(func() {
		k.Shutdown(context.Background(), 0)
		k.Detach()
	})
}

// startStandIn starts a stand-in kernel that is ended with the test.
func startStandIn(t *testing.T) (*kernel.Kernel, string) {
	t.Helper()
	s := newSpec(t)
	return startSpec(t, s), s.Dir
}

// processesOf lists the live processes that carry the session of the folder dir in their environment or work below it.
func processesOf(dir string) (left []string) {
	stats, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, s := range stats {
		proc := filepath.Dir(s)
		env, _ := os.ReadFile(proc + "/environ")
		cwd, _ := os.Readlink(proc + "/cwd")
		stat, err := os.ReadFile(s)
		if err != nil || strings.Contains(string(stat), ") Z ") {
			continue
		}
		if strings.Contains(string(env), "ERGANE_SESSION="+filepath.Base(dir)) && strings.HasPrefix(cwd, filepath.Dir(filepath.Dir(dir))) ||
			strings.HasPrefix(cwd, dir) {
			left = append(left, strings.TrimSpace(string(stat))[:40])
		}
	}
	return left
}

func alive(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err == nil && !strings.Contains(string(stat), ") Z ")
}

// await waits until cond holds; it fails the test after a time that no healthy run needs.
func await(t *testing.T, what string, cond func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !cond(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("never happened: %s", what)
		}
	}
}

// patience is a context for calls that are to succeed.
func patience(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeoutCause(t.Context(), 20*time.Second, errors.New("the test's patience has ended"))
	t.Cleanup(cancel)
	return ctx
}

func exec(t *testing.T, k *kernel.Kernel, id, code string) {
	t.Helper()
	if err := k.Exec(patience(t), id, code); err != nil {
		t.Fatalf("Exec: %v", err)
	}
}

func wait(t *testing.T, k *kernel.Kernel, id string) ergane.Outcome {
	t.Helper()
	o, err := k.Wait(patience(t), id)
	if err != nil {
		t.Fatalf("Wait: %v", err)
	}
	return o
}

func run(t *testing.T, k *kernel.Kernel, id, code string) ergane.Outcome {
	t.Helper()
	exec(t, k, id, code)
	return wait(t, k, id)
}

func text(t *testing.T, s *kernel.Section, err error) string {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	b, err := io.ReadAll(s)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func gone(t *testing.T, err error) *kernel.GoneError {
	t.Helper()
	g, ok := errors.AsType[*kernel.GoneError](err)
	if !ok {
		t.Fatalf("error %v, want a GoneError", err)
	}
	return g
}

// pidIn reads a process number that code has written to a file.
func pidIn(t *testing.T, name string) (pid int) {
	t.Helper()
	await(t, name+" is written", func() bool {
		b, _ := os.ReadFile(name)
		pid, _ = strconv.Atoi(strings.TrimSpace(string(b)))
		return pid > 0
	})
	return pid
}

// holdLock plays the server's part for the dead-man switch.
func holdLock(t *testing.T, path string) *flock.Lock {
	t.Helper()
	l, err := flock.Acquire(path)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func kill(pid int) { syscall.Kill(pid, syscall.SIGKILL) }
