package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"

	"github.com/ergane-dev/ergane"
	"github.com/ergane-dev/ergane/internal/host"
)

type runCmd struct {
	dirs
	host.SandboxFlags
	Files     string   `help:"Folder to copy to S3 first; its s3:// address is the code's sys.argv[1]." placeholder:"DIR" type:"existingdir"`
	WorkGroup string   `help:"Workgroup of the session." default:"primary" placeholder:"NAME"`
	File      string   `arg:"" help:"Python file to run." type:"existingfile"`
	Args      []string `arg:"" optional:"" passthrough:"" help:"Further values of the code's sys.argv."`
}

// Help is the long help text.
func (runCmd) Help() string {
	return "Uses the server that runs on the data folder; without one it starts one, with the sandbox that the flags ask for, which ends by itself. " +
		"Exits 0 if the calculation COMPLETED, and 1 otherwise."
}

// cleanupFor bounds the cleaning up after an interrupt.
const cleanupFor = 15 * time.Second

// Run runs the file. The code's stdout and stderr go to those of the command;
// everything else that the command prints goes to stderr.
func (c *runCmd) Run(ctx context.Context) error {
	if err := c.resolve(); err != nil {
		return err
	}
	if err := c.Check(); err != nil {
		return err
	}
	code, err := os.ReadFile(c.File)
	if err != nil {
		return fmt.Errorf("read the code: %w", err)
	}
	if !utf8.Valid(code) {
		return fmt.Errorf("%s is not UTF-8 text", c.File)
	}
	say := newSpeaker(os.Stderr)
	cl, err := findServer(ctx, c.dirs, c.SandboxFlags.Args(), say)
	if err != nil {
		return interrupted(ctx, err)
	}
	r := &fileRun{dirs: c.dirs, client: cl, say: say, serve: c.SandboxFlags.Args(), workGroup: c.WorkGroup, id: uuid.NewString()}
	argv := []string{filepath.Base(c.File)}
	if c.Files != "" { // before the session starts, which would be idle meanwhile
		at, err := r.upload(ctx, c.Files)
		if err != nil {
			return interrupted(ctx, err)
		}
		argv = append(argv, at)
	}
	// From here on a session may exist: it is ended in every case.
	defer func() {
		end, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanupFor)
		defer cancel()
		r.end(end)
	}()
	if err := r.start(ctx); err != nil {
		return interrupted(ctx, err)
	}
	done, err := r.run(ctx, string(code), append(argv, c.Args...))
	if err != nil {
		return interrupted(ctx, err)
	}
	r.report(ctx, done)
	if done.Status.State != ergane.CalculationCompleted {
		return exitCode(1)
	}
	return nil
}

// interrupted replaces the errors that Ctrl-C causes by one word.
func interrupted(ctx context.Context, err error) error {
	if ctx.Err() != nil || errors.Is(err, context.Canceled) {
		return errors.New("interrupted")
	}
	return err
}
