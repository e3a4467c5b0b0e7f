package flock_test

import (
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/ergane-dev/ergane/internal/flock"
)

// holder is the argument that makes this test binary hold the lock named after it until its input ends.
const holder = "hold-lock"

func TestMain(m *testing.M) {
	if len(os.Args) == 3 && os.Args[1] == holder {
		if _, err := flock.Acquire(os.Args[2]); err != nil {
			os.Exit(1)
		}
		os.Stdout.WriteString("held\n")
		io.Copy(io.Discard, os.Stdin)
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func held(t *testing.T, path string) bool {
	t.Helper()
	h, err := flock.Held(path)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func TestASecondAcquireIsRefusedUntilRelease(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "lock")
	if held(t, path) {
		t.Fatal("a missing file counts as held")
	}
	l, err := flock.Acquire(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := flock.Acquire(path); !errors.Is(err, flock.ErrHeld) {
		t.Fatalf("second Acquire: %v, want ErrHeld", err)
	}
	if !held(t, path) {
		t.Fatal("not held after Acquire")
	}
	if err := l.Release(); err != nil {
		t.Fatal(err)
	}
	if held(t, path) {
		t.Fatal("held after Release")
	}
	st, err := os.Stat(path)
	if err != nil || st.Mode().Perm() != 0o600 {
		t.Fatalf("lock file: %v, %v; want mode 0600", st, err)
	}
}

func TestAQueryNeitherTakesNorReleasesTheLock(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "lock")
	l, err := flock.Acquire(path)
	if err != nil {
		t.Fatal(err)
	}
	for range 3 { // closing another opening of the file frees a classic POSIX lock
		if !held(t, path) {
			t.Fatal("the query released the lock")
		}
	}
	if err := l.Release(); err != nil {
		t.Fatal(err)
	}
	held(t, path)
	if l, err = flock.Acquire(path); err != nil {
		t.Fatalf("the query took the lock: %v", err)
	}
	l.Release()
}

func TestTheLockEndsWithAKilledProcess(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "lock")
	cmd := exec.Command(os.Args[0], holder, path)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(out, make([]byte, len("held\n"))); err != nil {
		t.Fatal(err)
	}
	if _, err := flock.Acquire(path); !errors.Is(err, flock.ErrHeld) {
		t.Fatalf("Acquire beside another process: %v, want ErrHeld", err)
	}
	cmd.Process.Kill()
	cmd.Wait()
	l, err := flock.Acquire(path)
	if err != nil {
		t.Fatalf("Acquire after the holder's death: %v", err)
	}
	l.Release()
}

func TestAChildThatGetsTheFileKeepsTheLock(t *testing.T) {
	// Not parallel: a process that another test starts has a copy of the lock until its exec.
	path := filepath.Join(t.TempDir(), "lock")
	l, err := flock.Acquire(path)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("cat")
	cmd.ExtraFiles = []*os.File{l.File()}
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	l.File().Close()
	if !held(t, path) {
		t.Error("the lock was lost when the parent closed its copy")
	}
	in.Close()
	cmd.Wait()
	if held(t, path) {
		t.Error("the lock outlived the child")
	}
}

func TestALockFileThatCannotBeOpenedIsAnError(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if _, err := flock.Acquire(filepath.Join(dir, "missing", "lock")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("Acquire in a missing folder: %v", err)
	}
	link := filepath.Join(dir, "link")
	if err := os.Symlink(filepath.Join(dir, "target"), link); err != nil {
		t.Fatal(err)
	}
	if _, err := flock.Acquire(link); err == nil {
		t.Error("Acquire followed a symbolic link")
	}
	if _, err := flock.Held(link); err == nil {
		t.Error("Held followed a symbolic link")
	}
}

func TestHoldersAreThoseThatHaveTheLockAndNotOnlyTheFile(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "lock")
	if pids, err := flock.Holders(path); err != nil || len(pids) != 0 {
		t.Errorf("of a missing file: %v, %v", pids, err)
	}
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if pids, err := flock.Holders(path); err != nil || len(pids) != 0 {
		t.Errorf("of an open file: %v, %v", pids, err)
	}
	cmd := exec.Command(os.Args[0], holder, path)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	defer cmd.Wait()
	defer in.Close()
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(out, make([]byte, len("held\n"))); err != nil {
		t.Fatal(err)
	}
	if pids, err := flock.Holders(path); err != nil || len(pids) != 1 || pids[0] != cmd.Process.Pid {
		t.Errorf("holders %v, %v; want %d", pids, err, cmd.Process.Pid)
	}
	if held, err := flock.HeldBy(path, os.Getpid()); held || err != nil {
		t.Errorf("held by this process: %t, %v", held, err)
	}
}
