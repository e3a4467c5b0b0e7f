package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"runtime"
	"strings"
	"time"

	"github.com/ergane-dev/ergane/internal/host"
	"github.com/ergane-dev/ergane/internal/logfile"
	"github.com/ergane-dev/ergane/internal/server"
)

type serveCmd struct {
	dirs
	Listen   string        `help:"Address of the API; port 0: a free port, which the data folder then keeps." default:"127.0.0.1:7480" env:"ERGANE_LISTEN" placeholder:"HOST:PORT"`
	S3Listen string        `name:"s3-listen" help:"Address of the embedded S3; port 0: likewise." default:"127.0.0.1:7481" env:"ERGANE_S3_LISTEN" placeholder:"HOST:PORT"`
	Results  string        `help:"s3://bucket/prefix of an S3 of your own for results; its address and keys are in ERGANE_S3_ENDPOINT, ERGANE_S3_REGION, ERGANE_S3_ACCESS_KEY_ID and ERGANE_S3_SECRET_ACCESS_KEY, those for sessions in ERGANE_S3_SESSION_…. Default: the embedded S3." env:"ERGANE_RESULTS" placeholder:"URI"`
	Roles    string        `help:"JSON file of execution roles: role ARN to endpoint, region, access_key_id and secret_access_key of the S3 that its sessions use, and session_access_key_id and session_secret_access_key for their code. With it, other roles are refused." env:"ERGANE_ROLES" placeholder:"FILE" type:"existingfile"`
	Master   string        `help:"Where Spark's executors run: local, local[N], local[*], local-cluster[WORKERS,CORES,MEGABYTES], spark://HOST:PORT, yarn or k8s://ADDRESS." default:"local[*]" env:"ERGANE_MASTER" placeholder:"MASTER"`
	Catalog  string        `help:"Catalog of databases and tables: auto (one for all sessions, kept by the server), off (each session has its own, in memory) or thrift://HOST:PORT of a Hive Metastore." default:"off" env:"ERGANE_CATALOG" placeholder:"CATALOG"`
	Hold     time.Duration `help:"How long reads of a session or calculation that has just started wait for its end; 0: not at all." default:"1s" env:"ERGANE_HOLD" placeholder:"DURATION"`
	TLSCert  string        `name:"tls-cert" help:"Certificate (PEM) for TLS." env:"ERGANE_TLS_CERT" placeholder:"FILE" type:"existingfile"`
	TLSKey   string        `name:"tls-key" help:"Key (PEM) of the certificate." env:"ERGANE_TLS_KEY" placeholder:"FILE" type:"existingfile"`
	Insecure bool          `help:"Allow an address other than loopback without TLS." env:"ERGANE_INSECURE"`
	ExitIdle time.Duration `help:"Stop when there has been no client and no session for this long; 0: never." env:"ERGANE_EXIT_IDLE" placeholder:"DURATION"`
	poolFlags
	pipFlags
	keepFlags
	limitFlags
	host.SandboxFlags
	LogFile  string     `help:"Write the log to this file instead of stderr. At 8 MiB a new file begins; the one before is kept as FILE.1." env:"ERGANE_LOG_FILE" placeholder:"FILE" type:"path"`
	LogLevel slog.Level `help:"Lowest level that is logged: DEBUG, INFO, WARN or ERROR." default:"INFO" env:"ERGANE_LOG_LEVEL" placeholder:"LEVEL"`
}

// ballastSize is the size of a block that is never touched, so that it takes no
// memory, but which the garbage collector counts: it runs when the garbage is as
// large as what is in use, and the ballast is in use. Without it, a server with a
// few MB in use would collect for every few MB of garbage, which costs a sixth of
// its calls a second; a higher GOGC would help as well, but waste hundreds of MB
// on many sessions.
const ballastSize = 16 << 20

// Run serves until SIGINT or SIGTERM. Sessions live on for the next server.
func (c *serveCmd) Run(ctx context.Context) error {
	if os.Getenv("GOGC") == "" {
		ballast := make([]byte, ballastSize)
		defer runtime.KeepAlive(ballast)
	}
	if err := c.resolve(); err != nil {
		return err
	}
	cfg, err := c.config()
	if err != nil {
		return err
	}
	cfg.Descriptors = raiseDescriptors()
	to := io.Writer(os.Stderr)
	if c.LogFile != "" {
		file, err := logfile.Open(c.LogFile, logfile.DefaultSize)
		if err != nil {
			return fmt.Errorf("--log-file: %w", err)
		}
		defer file.Close()
		to = file
	}
	log := slog.New(slog.NewTextHandler(to, &slog.HandlerOptions{Level: c.LogLevel}))
	srv, err := server.Open(ctx, cfg, log)
	if err != nil {
		return withAdvice(err, cfg.DataDir)
	}
	fmt.Printf("ergane is ready: API %s, S3 %s, data in %s\n", srv.Info().API, srv.Info().S3, cfg.DataDir)
	err = srv.Serve(ctx)
	return errors.Join(err, srv.Close())
}

// withAdvice says what to do about a full disk, which shows as an error of the
// system, of the database, or of the S3 child.
func withAdvice(err error, dataDir string) error {
	text := err.Error()
	full := strings.Contains(text, "no space left on device") || strings.Contains(text, "is full")
	if !full || strings.Contains(text, "--data-dir") {
		return err
	}
	return fmt.Errorf("the disk of the data folder %s is full; make space, or name another folder with --data-dir: %w", dataDir, err)
}

// config is the checked form of the flags.
func (c *serveCmd) config() (server.Config, error) {
	cfg := server.Config{
		DataDir: c.DataDir, EngineDir: c.EngineDir, Programs: environment().programs(), Listen: c.Listen, S3Listen: c.S3Listen,
		Results: strings.TrimRight(c.Results, "/"), Limits: c.live(), MaxRunTime: c.MaxRunTime, MaxStart: c.MaxStartTime, MaxOutput: int64(c.MaxOutput), MaxDisk: int64(c.MaxDisk),
		MaxPendingBytes: int64(c.MaxPendingBytes), MaxLogs: int64(c.MaxLogs), APIRate: c.APIRate, Version: build(), Sandbox: c.SandboxFlags, Keep: c.retention(), KeptFor: keptFor(c.retention()), Hold: c.Hold, ExitIdle: c.ExitIdle,
		TLSCert: c.TLSCert, TLSKey: c.TLSKey,
	}
	if err := c.limitFlags.check(); err != nil {
		return cfg, err
	}
	if err := c.SandboxFlags.Check(); err != nil {
		return cfg, err
	}
	if err := c.poolFlags.check(); err != nil {
		return cfg, err
	}
	if err := c.keepFlags.check(); err != nil {
		return cfg, err
	}
	var err error
	if cfg.Pip, err = c.pip(); err != nil {
		return cfg, err
	}
	if c.ExitIdle == 0 { // a server with --exit-idle is for one session, and ends before a pool is useful
		cfg.Pool = c.pool()
	}
	for _, path := range []string{c.Roles, c.TLSKey} {
		if path != "" {
			cfg.Secrets = append(cfg.Secrets, path)
		}
	}
	if (c.TLSCert == "") != (c.TLSKey == "") {
		return cfg, errors.New("--tls-cert and --tls-key go together; give both, or neither")
	}
	cfg.Catalog = cmp.Or(c.Catalog, host.CatalogOff)
	if err := host.CheckCatalog(cfg.Catalog); err != nil {
		return cfg, err
	}
	if cfg.Catalog == host.CatalogAuto && c.Roles != "" {
		// It makes and removes folders with the server's key, for every client.
		return cfg, errors.New("--catalog auto and --roles cannot be used together: the catalog acts with the server's key, also for sessions of a role that may do less")
	}
	if cfg.Cluster, err = host.OpenCluster(c.Master, environment().MasterSecret); err != nil {
		return cfg, err
	}
	if cfg.SelfSigned, err = certificate(c.TLSCert, c.TLSKey); err != nil {
		return cfg, err
	}
	for _, f := range []struct{ flag, addr string }{{"--listen", c.Listen}, {"--s3-listen", c.S3Listen}} {
		loopback, err := isLoopback(f.addr)
		if err != nil {
			return cfg, fmt.Errorf("%s %s: %w", f.flag, f.addr, err)
		}
		tls := c.TLSCert != "" && f.flag == "--listen" // the embedded S3 speaks plain HTTP
		if !loopback && !tls && !c.Insecure {
			return cfg, fmt.Errorf("%s %s is open to other machines without TLS; give --tls-cert and --tls-key, or --insecure if the network is trusted", f.flag, f.addr)
		}
	}
	if c.Results != "" {
		if !strings.HasPrefix(c.Results, "s3://") {
			return cfg, fmt.Errorf("--results %s is not an s3:// address", c.Results)
		}
		if cfg.External, err = environment().external(); err != nil {
			return cfg, err
		}
	}
	if c.Roles != "" {
		if cfg.Roles, err = host.ReadRoles(c.Roles, cfg.External); err != nil {
			return cfg, err
		}
	}
	return cfg, nil
}

// isLoopback reports whether only this machine can reach a host:port.
func isLoopback(addr string) (bool, error) {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return false, errors.New("not an address of the form host:port")
	}
	if host == "localhost" {
		return true, nil
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback(), nil
}
