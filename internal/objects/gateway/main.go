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

// memoryLimit is far above what requests need; beyond it the garbage collector
// works harder. The live heap of an idle store is a few MiB.
const memoryLimit = 256 << 20

// Main is the body of `ergane s3`. args are what stands behind the subcommand;
// the result is the exit status. SIGTERM and SIGINT end it in good order.
func Main(args []string) int {
	flags := flag.NewFlagSet("ergane s3", flag.ContinueOnError)
	var cfg Config
	flags.StringVar(&cfg.DataDir, "data-dir", "", "absolute `path` of the data dir")
	flags.StringVar(&cfg.Listen, "listen", "127.0.0.1:0", "`host:port` to serve")
	flags.DurationVar(&cfg.DeadMan, "dead-man", defaultDeadMan, "end when no server and no kernel has lived for so `long`; negative: never")
	flags.StringVar(&cfg.Build, "build", "", "build of the server that starts it")
	flags.IntVar(&cfg.Connections, "max-connections", maxConnections, "`number` of connections at once; a quarter of it bounds the requests")
	flags.DurationVar(&cfg.Stall, "stall", stallFor, "for how `long` a client may pause while it sends")
	ready := flags.Int("ready-fd", -1, "file `descriptor` that is told when requests are taken")
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
		// stderr is this very file, and follows it when it is turned over.
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
		cfg.Log.Error("store ended", "error", err)
		tell(report, readiness{Error: err.Error(), InUse: errors.Is(err, ErrInUse), Held: errors.Is(err, flock.ErrHeld)})
		return 1
	}
	return 0
}

// readiness is what a started store tells its starter, once.
type readiness struct {
	Addr  string `json:"addr,omitzero"`
	Error string `json:"error,omitzero"`
	InUse bool   `json:"in_use,omitzero"`
	Held  bool   `json:"held,omitzero"` // another store has the data dir
}

func tell(to io.WriteCloser, r readiness) {
	_ = json.NewEncoder(to).Encode(r) // the starter may be gone
	to.Close()
}

type nowhere struct{}

func (nowhere) Write(p []byte) (int, error) { return len(p), nil }
func (nowhere) Close() error                { return nil }

// arguments are the inverse of what Main parses.
func arguments(cfg Config) []string {
	return []string{
		"--data-dir", cfg.DataDir, "--listen", cfg.Listen, "--dead-man", cfg.DeadMan.Round(time.Millisecond).String(),
		"--build", cfg.Build, "--ready-fd", fmt.Sprint(readyFD),
	}
}

// readyFD is the first of exec.Cmd.ExtraFiles.
const readyFD = 3
