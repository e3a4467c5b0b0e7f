package engine

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"time"
)

// logFile, in the engine's folder, has the output of the programs of a setup.
const logFile = "setup.log"

// tailBytes of a program's output are kept to find the cause of a failure.
const tailBytes = 16 << 10

// command runs a program of the setup to its end and returns the end of its
// output, stdout and stderr together. Each line goes to line (if not nil) and
// to setup.log. The program inherits the engine's lock: if this process is killed,
// the next setup waits until the program, which may still write, has ended.
func (in *installation) command(ctx context.Context, argv, env []string, line func(string)) (tail string, err error) {
	log, err := os.OpenFile(in.path(logFile), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return "", err
	}
	defer log.Close()
	fmt.Fprintf(log, "%s $ %s\n", time.Now().UTC().Format(time.RFC3339), strings.Join(argv, " "))

	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Env = env
	cmd.Dir = in.path("tmp")
	cmd.ExtraFiles = []*os.File{in.held.File()}
	cmd.WaitDelay = 5 * time.Second
	ownGroup(cmd)
	out, w := io.Pipe()
	cmd.Stdout, cmd.Stderr = w, w
	read := make(chan struct{})
	go func() {
		defer close(read)
		tail = readLines(out, log, line)
	}()
	err = runTied(cmd)
	w.Close()
	<-read
	if ctx.Err() != nil {
		return tail, context.Cause(ctx)
	}
	return tail, err
}

// readLines passes each line to line and to the log and returns the last
// tailBytes. Progress lines of pip are not logged.
func readLines(from io.Reader, log io.Writer, line func(string)) string {
	var tail strings.Builder
	lines := bufio.NewReader(from)
	for {
		text, err := lines.ReadString('\n')
		if text = strings.TrimRight(text, "\r\n"); text != "" {
			if line != nil {
				line(text)
			}
			if !strings.HasPrefix(text, pipProgress) {
				fmt.Fprintln(log, text)
				tail.WriteString(text + "\n")
			}
		}
		if tail.Len() > 2*tailBytes {
			kept := tail.String()[tail.Len()-tailBytes:]
			tail.Reset()
			tail.WriteString(kept)
		}
		if err != nil {
			return tail.String()
		}
	}
}

// probe runs a program that ends at once and returns its output.
func probe(ctx context.Context, argv ...string) (string, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, 30*time.Second,
		fmt.Errorf("%s did not answer within 30 s", argv[0]))
	defer cancel()
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.WaitDelay = time.Second
	out, err := cmd.CombinedOutput()
	if ctx.Err() != nil {
		return "", context.Cause(ctx)
	}
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		return "", fmt.Errorf("%s: %w: %s", argv[0], exit, lastLine(string(out)))
	}
	return string(out), err
}

func lastLine(text string) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return strings.TrimSpace(lines[len(lines)-1])
}
