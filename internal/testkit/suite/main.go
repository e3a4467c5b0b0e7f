// Command suite runs the parts of the test suite: every part, whatever failed
// before, each in a box of its own (internal/testkit/box), and closes with one
// table and the line "N passed, N failed, N skipped".
//
//	suite run PART...         those parts; all without a name
//	suite again N TEST        one test N times, from twice on beside two busy loops;
//	                          TEST is e2e/test_x.py::test_y, kernel/tests/test_x.py::test_y
//	                          or internal/kernel:TestY
//	suite box COMMAND...      a command in a box
//
// What failed is run once more, in a new process; what passes then is flaky: it
// is named in the table and in .build/flaky.txt, and more than three are a
// failure. Where a second look proves nothing (fuzz, chaos, durability,
// recovery, the store) a failure is a failure.
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
			return 0, fmt.Errorf("%q is no number of runs", args[0])
		}
		return c.again(ctx, n, args[1])
	case command == "box" && len(args) > 0:
		return c.boxed(ctx, os.Stdout, nil, args...)
	}
	return 0, errors.New("give it run [PART...], again N TEST, or box COMMAND [ARG...]")
}

// checkout is what is tested; build is its folder of what was made.
type checkout struct{ root, build string }

func newCheckout() (*checkout, error) {
	root, err := os.Getwd()
	if err != nil {
		return nil, err
	}
	if _, err := os.Stat(filepath.Join(root, "go.mod")); err != nil {
		return nil, fmt.Errorf("run it in the folder of go.mod: %w", err)
	}
	if os.Getenv("ERGANE_ENGINE_DIR") == "" { // as make has it
		os.Setenv("ERGANE_ENGINE_DIR", filepath.Join(root, ".build", "engines"))
	}
	c := &checkout{root: root, build: filepath.Join(root, ".build")}
	return c, os.MkdirAll(c.build, 0o755)
}

// boxed runs a command in a box that shows no network. Where the machine has no
// namespaces for one it runs as it is, and the tests that need a box skip.
func (c *checkout) boxed(ctx context.Context, out io.Writer, env []string, argv ...string) (int, error) {
	b := box.Box{
		Dir:    "/var/tmp", // on disk, and with a path that sessions may look up
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
	fmt.Fprintf(out, "no box can be made here (%v, status %d): what could harm the machine is skipped\n", err, status)
	return command(ctx, c.root, b.Env, out, argv...)
}

// command runs a command as it is and returns its exit status.
func command(ctx context.Context, dir string, env []string, out io.Writer, argv ...string) (int, error) {
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr = dir, append(os.Environ(), env...), out, out
	err := cmd.Run()
	if ended := (*exec.ExitError)(nil); errors.As(err, &ended) {
		return max(ended.ExitCode(), 1), ctx.Err()
	}
	return 0, err
}
