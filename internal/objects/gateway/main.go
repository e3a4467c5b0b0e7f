package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"runtime/debug"
	"syscall"
	"time"

	"github.com/ergane-dev/ergane/internal/flock"
	"github.com/ergane-dev/ergane/internal/logfile"
)

// memoryLimit is far above what requests need; above it the garbage collector
// works harder. The live heap of an idle process is a few MiB.
const memoryLimit = 256 << 20

// Main runs `ergane s3`. args are the arguments after the subcommand; the result
// is the exit status. It stops on SIGTERM and SIGINT after running requests.
func Main(args []string) int {
	flags := flag.NewFlagSet("ergane s3", flag.ContinueOnError)
	var cfg Config
	flags.StringVar(&cfg.DataDir, "data-dir", "", "absolute `path` of the data dir")
	flags.StringVar(&cfg.Listen, "listen", "127.0.0.1:0", "`host:port` to serve")
	flags.DurationVar(&cfg.DeadMan, "dead-man", defaultDeadMan, "end when no server and no kernel has run for so `long`; negative: never")
	flags.StringVar(&cfg.Build, "build", "", "build of the server that starts it")
	flags.IntVar(&cfg.Connections, "max-connections", maxConnections, "`number` of connections at once; a quarter of it bounds the requests")
	flags.DurationVar(&cfg.Stall, "stall", stallFor, "how `long` a client may pause while it sends")
	ready := flags.Int("ready-fd", -1, "file `descriptor` to which the address is written when requests are served")
	if err := flags.Parse(args); err != nil {
		return 2
	}
	syscall.Umask(0o077)
	debug.SetMemoryLimit(memoryLimit)
	debug.SetGCPercent(50)
	var report io.WriteCloser = nowhere{}
	var log io.Writer = os.Stderr
	if *ready >= 0 {
		syscall.CloseOnExec(*ready)
		report = os.NewFile(uintptr(*ready), "ready")
		// stderr is the same file, and is switched with it when the log is rotated.
		if file, err := logfile.Open(filepath.Join(cfg.DataDir, logName), maxLog); err == nil {
			defer file.Close()
			log = file
		}
	}
	cfg.Log = slog.New(slog.NewTextHandler(log, nil))
	cfg.Ready = func(addr string) { tell(report, readiness{Addr: addr}) }
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	if err := Serve(ctx, cfg); err != nil {
		cfg.Log.Error("embedded S3 ended", "error", err)
		tell(report, readiness{Error: err.Error(), InUse: errors.Is(err, ErrInUse), Held: errors.Is(err, flock.ErrHeld)})
		return 1
	}
	return 0
}

// readiness is the one message from a started process to the server that started it.
type readiness struct {
	Addr  string `json:"addr,omitzero"`
	Error string `json:"error,omitzero"`
	InUse bool   `json:"in_use,omitzero"`
	Held  bool   `json:"held,omitzero"` // another process has the data dir's lock
}

func tell(to io.WriteCloser, r readiness) {
	_ = json.NewEncoder(to).Encode(r) // the server may have ended
	to.Close()
}

type nowhere struct{}

func (nowhere) Write(p []byte) (int, error) { return len(p), nil }
func (nowhere) Close() error                { return nil }

// arguments are those that Main parses into cfg.
func arguments(cfg Config) []string {
	return []string{
		"--data-dir", cfg.DataDir, "--listen", cfg.Listen, "--dead-man", cfg.DeadMan.Round(time.Millisecond).String(),
		"--build", cfg.Build, "--ready-fd", fmt.Sprint(readyFD),
	}
}

// readyFD is the first of exec.Cmd.ExtraFiles.
const readyFD = 3
