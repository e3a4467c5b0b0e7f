// Command ergane is Amazon Athena for Apache Spark that you run yourself.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/alecthomas/kong"
)

// cli is the command line. Every flag is also a key of the --config file, and a
// flag that configures a server or its folders is also an ERGANE_* variable.
type cli struct {
	Config kong.ConfigFlag `help:"JSON file: an object of flag names, without dashes in front, and their values." placeholder:"FILE" env:"ERGANE_CONFIG"`

	Run     runCmd     `cmd:"" help:"Run a Python file as a calculation in a fresh session."`
	Serve   serveCmd   `cmd:"" help:"Serve the API and the embedded S3."`
	Env     envCmd     `cmd:"" help:"Print shell commands that point AWS clients at the running server."`
	Logs    logsCmd    `cmd:"" help:"Show the log of a session's Spark driver."`
	Setup   setupCmd   `cmd:"" help:"Download and install the Spark engine, and nothing else."`
	Doctor  doctorCmd  `cmd:"" help:"Show what works, what does not, and what to do about it."`
	Compact compactCmd `cmd:"" help:"Rewrite the database, which frees the space of what was removed."`
	Version versionCmd `cmd:"" help:"Print the version."`
}

func main() {
	if len(os.Args) > 1 {
		if child, ok := children[os.Args[1]]; ok {
			os.Exit(child(os.Args[2:]))
		}
	}
	parser := kong.Must(new(cli), grammar()...)
	args := os.Args[1:]
	if len(args) == 0 {
		args = []string{"--help"}
	}
	command, err := parser.Parse(args)
	if err != nil {
		fmt.Fprintf(os.Stderr, "ergane: %v; see ergane --help\n", err)
		os.Exit(1)
	}
	ctx, stop := signalContext()
	command.BindTo(ctx, (*context.Context)(nil))
	err = command.Run()
	stop()
	if code := exitCode(0); errors.As(err, &code) {
		os.Exit(int(code))
	}
	if err != nil {
		// One line, because finalError looks for one; joined errors have several.
		fmt.Fprintln(os.Stderr, "ergane: "+strings.ReplaceAll(err.Error(), "\n", "; "))
		os.Exit(1)
	}
}

// grammar is how the command line is read.
func grammar() []kong.Option {
	return []kong.Option{
		kong.Name("ergane"),
		kong.Description("Amazon Athena for Apache Spark that you run yourself: every AWS client works, on real PySpark."),
		kong.Configuration(readConfig),
	}
}

// exitCode ends the program with a status and no further message.
type exitCode int

func (e exitCode) Error() string { return fmt.Sprintf("exit status %d", int(e)) }

// signalContext ends with the first SIGINT or SIGTERM. A second one kills, as
// for any program.
func signalContext() (context.Context, context.CancelFunc) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop)
	watchGoRun(stop)
	return ctx, stop
}
