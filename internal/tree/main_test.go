//go:build linux

package tree_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/ergane-dev/ergane/internal/tree"
)

// A deed is done by a child, which says on its stdout what went wrong. It has
// 64 descriptors, and works in a folder of its user's own.
var deeds = map[string]func() error{
	"remove":    func() error { return tree.Remove("tree") },
	"removeall": func() error { return os.RemoveAll("tree") },
	"use":       sayUse,
	"mount":     removeMountPoint,
}

// ordinary is the user that a child of root runs as if it is to be an ordinary one.
const ordinary = 65534

func TestMain(m *testing.M) {
	deed, ok := deeds[os.Getenv("TREE_DEED")]
	if !ok {
		os.Exit(m.Run())
	}
	err := unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: 64, Max: 64})
	if user, _ := strconv.Atoi(os.Getenv("TREE_USER")); err == nil && user != 0 {
		err = syscall.Setresuid(user, user, user)
	}
	if err == nil {
		err = deed()
	}
	if err != nil {
		fmt.Print(err)
	}
	os.Exit(0)
}

// child carries out a deed in a folder and returns its output. If it runs as root
// and a user is given, it carries it out as that user.
func child(t *testing.T, deed, dir string, user int, flags uintptr) string {
	t.Helper()
	cmd := exec.Command("/proc/self/exe")
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "TREE_DEED="+deed)
	if os.Geteuid() == 0 {
		cmd.Env = append(cmd.Env, "TREE_USER="+strconv.Itoa(user))
	}
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: flags}
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v", deed, err)
	}
	return string(out)
}

// nest makes nested folders, with a file next to each, and calls within for the
// lowest. It returns how many bytes of disk they use.
func nest(t *testing.T, dir string, depth int, name string, within func(at int)) (use int64) {
	t.Helper()
	at, err := unix.Open(dir, unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	must(t, err)
	for range depth {
		must(t, unix.Mkdirat(at, name, 0o700))
		file, err := unix.Openat(at, "file", unix.O_CREAT|unix.O_WRONLY|unix.O_CLOEXEC, 0o600)
		must(t, err)
		must(t, unix.Fallocate(file, 0, 0, 8<<10))
		next, err := unix.Openat(at, name, unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
		must(t, err)
		use += blocks(t, at) + blocks(t, file)
		must(t, unix.Close(file))
		must(t, unix.Close(at))
		at = next
	}
	if within != nil {
		within(at)
	}
	use += blocks(t, at)
	must(t, unix.Close(at))
	return use
}

func blocks(t *testing.T, fd int) int64 {
	t.Helper()
	var st unix.Stat_t
	must(t, unix.Fstat(fd, &st))
	return st.Blocks * 512
}

// own makes the ordinary user the owner of a folder and of what is in it.
func own(t *testing.T, paths ...string) {
	t.Helper()
	if os.Geteuid() != 0 {
		return
	}
	for _, path := range paths {
		must(t, os.Lchown(path, ordinary, ordinary))
	}
}

// workplace is a folder that contains an empty folder, tree; the ordinary user owns
// both. It is removed at the end of the test.
func workplace(t *testing.T) (dir, root string) {
	t.Helper()
	dir = t.TempDir()
	root = filepath.Join(dir, "tree")
	must(t, os.Mkdir(root, 0o700))
	own(t, dir, root)
	t.Cleanup(func() { _ = tree.Remove(root) })
	return dir, root
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func gone(t *testing.T, path string) {
	t.Helper()
	if _, err := os.Lstat(path); !os.IsNotExist(err) {
		t.Errorf("%s is still there (%v)", path, err)
	}
}

var longName = strings.Repeat("n", 200)
