// Command suite runs the parts of the test suite: every part, even if others have
// failed, each in a box of its own (internal/testkit/box). It ends with one table
// and the line "N passed, N failed, N skipped".
//
//	suite run [PART...]       these parts, or all
//	suite again N TEST        one test N times, from twice on beside two busy loops;
//	                          TEST is e2e/test_x.py::test_y, kernel/tests/test_x.py::test_y
//	                          or internal/kernel:TestY
//	suite box COMMAND...      a command in a box
//
// A test that failed is run once more, in a new process; if it passes then it is
// flaky: it is named in the table and in .build/flaky.txt, and more than three
// flaky tests are a failure. Tests of fuzz, chaos, durability, recovery and the
// store are not run again: that a second run passes proves nothing there.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/ergane-dev/ergane/internal/testkit/box"
)

func main() {
	box.Main()
	ctx, stop := signal.NotifyContext(context.Background(), unix.SIGTERM, unix.SIGINT, unix.SIGHUP)
	defer stop()
	status, err := run(ctx, os.Args[1:])
	if err != nil {
		fmt.Fprintln(os.Stderr, "suite: "+err.Error())
		status = 2
	}
	os.Exit(status)
}

func run(ctx context.Context, args []string) (int, error) {
	c, err := newCheckout()
	if err != nil {
		return 0, err
	}
	command, args := "run", args
	if len(args) > 0 {
		command, args = args[0], args[1:]
	}
	switch {
	case command == "run":
		return c.all(ctx, args)
	case command == "again" && len(args) == 2:
		n, err := strconv.Atoi(args[0])
		if err != nil || n < 1 {
			return 0, fmt.Errorf("%q is not a number of runs", args[0])
		}
		return c.again(ctx, n, args[1])
	case command == "box" && len(args) > 0:
		return c.boxed(ctx, os.Stdout, nil, args...)
	}
	return 0, errors.New("usage: suite run [PART...] | again N TEST | box COMMAND [ARG...]")
}

// checkout is the source tree that is tested; build is its folder for build results.
type checkout struct{ root, build string }

func newCheckout() (*checkout, error) {
	root, err := os.Getwd()
	if err != nil {
		return nil, err
	}
	if _, err := os.Stat(filepath.Join(root, "go.mod")); err != nil {
		return nil, fmt.Errorf("run suite in the folder of go.mod: %w", err)
	}
	if os.Getenv("ERGANE_ENGINE_DIR") == "" { // as in the Makefile
		os.Setenv("ERGANE_ENGINE_DIR", filepath.Join(root, ".build", "engines"))
	}
	c := &checkout{root: root, build: filepath.Join(root, ".build")}
	return c, os.MkdirAll(c.build, 0o755)
}

// boxed runs a command in a box without network. If the machine allows no
// namespaces, it runs without a box, and the tests that need one skip.
func (c *checkout) boxed(ctx context.Context, out io.Writer, env []string, argv ...string) (int, error) {
	b := box.Box{
		Dir:    "/var/tmp", // on disk, and readable for sessions
		Memory: 20 << 30, Processes: 20_000,
		WorkDir: c.root, Env: append([]string{"GOPROXY=off", "PIP_NO_INDEX=1"}, env...), Stdout: out, Stderr: out,
	}
	home, _ := os.UserHomeDir()
	for _, path := range []string{home, os.Getenv("ERGANE_ENGINE_DIR"), os.Getenv("GOCACHE"), os.Getenv("GOMODCACHE"), os.Getenv("GOPATH"), c.root} {
		if filepath.IsAbs(path) {
			b.Keep = append(b.Keep, filepath.Clean(path))
		}
	}
	status, err := b.Run(ctx, "true")
	if err == nil && status == 0 {
		return b.Run(ctx, argv...)
	}
	fmt.Fprintf(out, "no box can be made here (%v, status %d): tests that could harm the machine are skipped\n", err, status)
	return command(ctx, c.root, b.Env, out, argv...)
}

// command runs a command without a box and returns its exit status.
func command(ctx context.Context, dir string, env []string, out io.Writer, argv ...string) (int, error) {
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr = dir, append(os.Environ(), env...), out, out
	err := cmd.Run()
	if ended := (*exec.ExitError)(nil); errors.As(err, &ended) {
		return max(ended.ExitCode(), 1), ctx.Err()
	}
	return 0, err
}
