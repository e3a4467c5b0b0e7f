package kernel_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/ergane-dev/ergane"
	"github.com/ergane-dev/ergane/internal/flock"
	"github.com/ergane-dev/ergane/internal/kernel"
)

func TestAStartThatFailsLeavesNothing(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		change func(*kernel.Spec)
		want   string
	}{
		"no such program":          {func(s *kernel.Spec) { s.Argv = []string{"/no/such/python"} }, "start /no/such/python: no such file or directory"},
		"no such shim":             {func(s *kernel.Spec) { s.Shim = []string{"/no/such/ergane"} }, "/no/such/ergane"},
		"a shim that says nothing": {func(s *kernel.Spec) { s.Shim = []string{"true"} }, "the shim says nothing"},
		"a program that ends at once": {func(s *kernel.Spec) { s.Argv = []string{"/bin/sh", "-c", "echo no module named x >&2; exit 1"} },
			"the kernel exited with status 1: no module named x"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSpec(t)
			tc.change(&s)
			_, err := kernel.Start(patience(t), s)
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("Start: %v, want %q", err, tc.want)
			}
			nothingLeft(t, s.Dir)
		})
	}
}

func nothingLeft(t *testing.T, dir string) {
	t.Helper()
	if left := processesOf(dir); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
	if held, err := flock.Held(filepath.Join(dir, "lock")); held || err != nil {
		t.Errorf("the session's lock: held %v, %v", held, err)
	}
}

// Every process that another goroutine starts has a copy of the lock's
// descriptor until its exec, which on a busy machine takes a while.
func TestAnInterruptedStartFreesTheLockWhoeverHasACopy(t *testing.T) {
	t.Parallel()
	s := newSpec(t)
	s.Boot.Env = map[string]string{"STANDIN_START": "mute"} // the kernel never listens
	interrupted := errors.New("interrupted")
	ctx, cancel := context.WithCancelCause(t.Context())
	started := make(chan error, 1)
	go func() {
		_, err := kernel.Start(ctx, s)
		started <- err
	}()
	await(t, "the kernel is recorded", func() bool {
		_, err := os.Stat(filepath.Join(s.Dir, "handle.json"))
		return err == nil || len(started) > 0
	})
	for _, fd := range openings(filepath.Join(s.Dir, "lock")) {
		twin, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer unix.Close(twin)
	}
	cancel(interrupted)
	if err := <-started; !errors.Is(err, interrupted) {
		t.Errorf("Start: %v", err)
	}
	nothingLeft(t, s.Dir)
}

// openings are this process's descriptors of a file.
func openings(name string) (fds []int) {
	links, _ := filepath.Glob("/proc/self/fd/*")
	for _, link := range links {
		if at, _ := os.Readlink(link); at == name {
			fd, _ := strconv.Atoi(filepath.Base(link))
			fds = append(fds, fd)
		}
	}
	return fds
}

func TestAStartedFolderIsNotStartedAgain(t *testing.T) {
	t.Parallel()
	s := newSpec(t)
	startSpec(t, s)
	if _, err := kernel.Start(patience(t), s); err == nil || !strings.Contains(err.Error(), "started in") {
		t.Errorf("second Start: %v", err)
	}
}

func TestARefusalOfSparkIsTheErrorOfReady(t *testing.T) {
	t.Parallel()
	s := newSpec(t)
	s.Boot.Env = map[string]string{"STANDIN_START": "refuse IllegalArgumentException spark.x must be positive"}
	k, err := kernel.Start(t.Context(), s)
	if err == nil { // otherwise Spark was quicker than hello
		endAfter(t, k)
		err = k.Ready(patience(t))
	}
	refusal, ok := errors.AsType[*kernel.SparkError](err)
	if !ok || refusal.Name != "IllegalArgumentException" || refusal.Value != "spark.x must be positive" {
		t.Errorf("Ready: %v", err)
	}
}

func TestLongPathsWork(t *testing.T) {
	t.Parallel()
	s := newSpec(t)
	base := filepath.Base(s.Dir)
	s.Dir = filepath.Join(filepath.Dir(s.Dir), strings.Repeat("long-", 40), strings.Repeat("path-", 40), base)
	k := startSpec(t, s)
	if o := run(t, k, "one", "print"); o.State != ergane.CalculationCompleted {
		t.Errorf("outcome %+v", o)
	}
	k.Detach()
	k, err := kernel.Adopt(patience(t), s.Dir, token, nil)
	if err != nil {
		t.Fatal(err)
	}
	endAfter(t, k)
	run(t, k, "two", "print")
}

func TestTheDriversOutputGoesToTheSessionLog(t *testing.T) {
	t.Parallel()
	s := newSpec(t)
	s.Boot.Env = map[string]string{"STANDIN_START": "log WARN from the driver"}
	startSpec(t, s)
	await(t, "the line is in the log", func() bool {
		got, err := os.ReadFile(filepath.Join(s.Dir, "session.log"))
		return err == nil && string(got) == "WARN from the driver\n"
	})
}

func TestNoSecretIsInAProcessListOrOnDisk(t *testing.T) {
	t.Parallel()
	s := newSpec(t)
	s.Boot.Env = map[string]string{"AWS_SECRET_ACCESS_KEY": "the-secret-key"}
	k := startSpec(t, s)
	run(t, k, "one", "print")
	for _, pid := range []int{k.PID(), shimOf(t, s.Dir)} {
		for _, f := range []string{"cmdline", "environ"} {
			b, err := os.ReadFile(filepath.Join("/proc", itoa(int64(pid)), f))
			if err != nil {
				t.Fatal(err)
			}
			if bytes.Contains(b, []byte(token)) || bytes.Contains(b, []byte("the-secret-key")) {
				t.Errorf("a secret is in %s of process %d", f, pid)
			}
		}
	}
	filepath.WalkDir(s.Dir, func(name string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		st, _ := d.Info()
		if st.Mode().IsRegular() && st.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %v", name, st.Mode())
		}
		if contains(name, token) || contains(name, "the-secret-key") {
			t.Errorf("a secret is in %s", name)
		}
		return nil
	})
}

func TestWhatTheServerInheritedDoesNotReachTheKernel(t *testing.T) {
	// Not parallel: every process that another test starts would inherit it, too.
	dir := t.TempDir()
	l, err := flock.Acquire(filepath.Join(dir, "inherited"))
	if err != nil {
		t.Fatal(err)
	}
	fd, err := syscall.Dup(int(l.File().Fd())) // without close-on-exec, as a parent may pass it on
	if err != nil {
		t.Fatal(err)
	}
	k, _ := startStandIn(t)
	l.File().Close()
	syscall.Close(fd)
	if held, err := flock.Held(filepath.Join(dir, "inherited")); held || err != nil {
		t.Errorf("the kernel or its shim holds a lock of the server's: %v, %v", held, err)
	}
	_ = k
}
