package main

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/ergane-dev/ergane"
	"github.com/ergane-dev/ergane/internal/api"
	"github.com/ergane-dev/ergane/internal/awsjson"
	"github.com/ergane-dev/ergane/internal/credentials"
	"github.com/ergane-dev/ergane/internal/flock"
	"github.com/ergane-dev/ergane/internal/metastore"
	"github.com/ergane-dev/ergane/internal/metrics"
	"github.com/ergane-dev/ergane/internal/objects"
	"github.com/ergane-dev/ergane/internal/objects/gateway"
	"github.com/ergane-dev/ergane/internal/session"
	"github.com/ergane-dev/ergane/internal/store"
)

const (
	defaultRegion = "us-east-1"
	// orphanedFor is how long the kernel of a server that ends by itself lives without it.
	orphanedFor = 10 * time.Second
	// drainFor bounds the wait for requests when the server stops.
	drainFor = 5 * time.Second
)

// serverConfig is what a server works by; serveCmd has checked it.
type serverConfig struct {
	DataDir, EngineDir string
	Listen, S3Listen   string
	Results            string // "" is the embedded store
	External           externalS3
	Roles              roles
	Cluster            cluster
	Catalog            string // catalogAuto, catalogOff or an address
	Limits             limitFlags
	Sandbox            sandboxFlags
	Pool               session.Pool
	Secrets            []string // files that sessions must not see
	Hold, ExitIdle     time.Duration
	TLSCert, TLSKey    string
	SelfSigned         string // TLSCert's path, if it is self-signed
}

// A server is everything that `ergane serve` runs, from open to close.
type server struct {
	cfg     serverConfig
	log     *slog.Logger
	lock    *flock.Lock
	info    serverInfo
	store   *store.Store
	s3      *gateway.Supervisor // nil with an external store
	engines *engines
	catalog *metastore.Server // nil where the server keeps none
	manager *session.Manager
	metrics *metrics.Metrics
	http    *http.Server
	socket  net.Listener
	busy    activity

	installing sync.WaitGroup
	stop       context.CancelFunc
}

// openServer takes the data dir and starts everything but the answering of
// requests. After an error nothing of it is left.
func openServer(ctx context.Context, cfg serverConfig, log *slog.Logger) (_ *server, err error) {
	s := &server{cfg: cfg, log: log}
	work, stop := context.WithCancel(context.WithoutCancel(ctx))
	s.stop = stop
	defer func() {
		if err != nil {
			err = errors.Join(err, s.close())
		}
	}()
	if err := s.takeDataDir(); err != nil {
		return nil, err
	}
	keys, err := credentials.Open(cfg.DataDir)
	if err != nil {
		return nil, err
	}
	if err := checkSessionKeys(cfg.External, cfg.Roles, keys.Root().AccessKeyID); err != nil {
		return nil, err
	}
	wide := cfg.wideKeys()
	for _, f := range wide.findings() {
		log.Warn(f.Detail, "advice", f.Advice)
	}
	if s.socket, err = listen(cfg.Listen, filepath.Join(cfg.DataDir, "listen")); err != nil {
		return nil, err
	}
	s.info = serverInfo{
		PID: os.Getpid(), Started: time.Now(), API: s.url(), Region: defaultRegion, Files: "s3://ergane-files",
		ExitsIdle: cfg.ExitIdle > 0, CertFile: cfg.SelfSigned, Master: cfg.Cluster.master.String(), Version: build(),
		WideKeys: wide,
	}
	results, err := s.openResults(ctx, keys)
	if err != nil {
		return nil, err
	}
	if s.store, err = store.Open(ctx, filepath.Join(cfg.DataDir, "ergane.db")); err != nil {
		return nil, err
	}
	if s.engines, err = newEngines(cfg.EngineDir, log); err != nil {
		return nil, err
	}
	confiner, err := openConfiner(ctx, cfg.Sandbox, cfg.DataDir, cfg.Limits.live().Memory, cfg.Cluster.master, cfg.Secrets, log)
	if err != nil {
		return nil, err
	}
	if confiner != nil {
		s.info.Group = confiner.layers.Group
	}
	s.installing.Go(func() { s.engines.run(work) })

	h := &host{dataDir: cfg.DataDir, keys: keys, engines: s.engines, info: func() serverInfo { return s.info }, deadMan: 24 * time.Hour, cluster: cfg.Cluster, confiner: confiner, log: log}
	if cfg.ExitIdle > 0 {
		h.deadMan = orphanedFor
	}
	if cfg.Results != "" {
		h.external = &cfg.External
	}
	h.roles, h.results = cfg.Roles, cmp.Or(cfg.Results, "s3://ergane-results")
	if err := s.openCatalog(h); err != nil {
		return nil, err
	}
	s.metrics = metrics.New(build())
	states, kernels, bucket := crashing(s.store, h, results)
	s.manager = session.New(session.Config{
		Meter: s.metrics, Pool: cfg.Pool,
		Hold: cfg.Hold, Results: cfg.Results, Account: s.account(), DefaultEngine: s.engines.table.Default,
		Limits: cfg.Limits.live(), MaxOutput: int64(cfg.Limits.MaxOutput), MaxRunTime: cfg.Limits.MaxRunTime, MaxDisk: int64(cfg.Limits.MaxDisk),
		OweBytes: cfg.Limits.owed(cfg.DataDir),
	}, states, kernels, bucket, log)
	if err := s.manager.Start(ctx); err != nil {
		return nil, err
	}
	verifier := awsjson.NewVerifier(api.SigningName, s.callers(keys), time.Now)
	mux := http.NewServeMux()
	api.New(s.manager, api.Config{
		Verifier: verifier, SessionOf: credentials.SessionOf, PageKey: keys.Derive("page tokens"), Rate: cfg.Limits.APIRate,
		Begin: begin, Observe: s.metrics.Answered, Log: log,
	}).Register(mux)
	s.registerHealth(mux)
	s.http = newHTTP(s.observed(s.busy.count(mux)), log)
	return s, writeJSON(serverInfoPath(cfg.DataDir), s.info)
}

// callers finds the keys that sign calls of the API; that of a session ends
// with it, and those of sessions for an external store are never found.
func (s *server) callers(keys *credentials.Keyring) awsjson.KeyLookup {
	return func(id string) (string, error) {
		if s.cfg.Results != "" && id == s.cfg.External.AccessKeyID {
			return s.cfg.External.Secret, nil
		}
		if secret, ok := s.cfg.Roles.secret(id); ok {
			return secret, nil
		}
		if k, ok := keys.Lookup(id); ok && (k.SessionID == "" || s.manager.Owns(k.SessionID)) {
			return k.Secret, nil
		}
		return "", awsjson.ErrUnknownKey
	}
}

// takeDataDir makes the data dir this server's own.
func (s *server) takeDataDir() error {
	if err := makeDataDir(s.cfg.DataDir); err != nil {
		return err
	}
	lock, err := flock.Acquire(lockPath(s.cfg.DataDir))
	if errors.Is(err, flock.ErrHeld) {
		where := ""
		if info, ok, err := readServerInfo(s.cfg.DataDir); err == nil && ok {
			where = fmt.Sprintf(" (process %d, %s)", info.PID, info.API)
		}
		return fmt.Errorf("%s%s%s; stop it, or name another folder with --data-dir", alreadyServed, s.cfg.DataDir, where)
	}
	if err != nil {
		return err
	}
	s.lock = lock
	// What a dead server left would be taken for ours from now on.
	if err := os.Remove(serverInfoPath(s.cfg.DataDir)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove what an earlier server left: %w", err)
	}
	return nil
}

// openResults starts or adopts the embedded S3, unless there is an external
// one, and returns the store that results go to.
func (s *server) openResults(ctx context.Context, keys *credentials.Keyring) (*objects.Store, error) {
	if s.cfg.Results != "" {
		x := s.cfg.External
		s.info.S3, s.info.Region, s.info.ExternalS3 = x.Endpoint, x.Region, true
		s.info.Files = s.cfg.Results + "/files"
		return objects.New(objects.Config{Endpoint: x.Endpoint, Region: x.Region, AccessKeyID: x.AccessKeyID, Secret: x.Secret, PathStyle: true})
	}
	sup, err := gateway.NewSupervisor(gateway.SupervisorConfig{
		DataDir: s.cfg.DataDir, Listen: s.cfg.S3Listen, Command: []string{self, "s3"}, Log: s.log,
	})
	if err != nil {
		return nil, err
	}
	if err := sup.Start(ctx); errors.Is(err, gateway.ErrInUse) {
		return nil, inUse(s.cfg.S3Listen, "--s3-listen")
	} else if err != nil {
		return nil, err
	}
	s.s3 = sup
	s.info.S3 = s.s3.Endpoint()
	root := keys.Root()
	return objects.New(objects.Config{
		Endpoint: s.info.S3, Region: defaultRegion, AccessKeyID: root.AccessKeyID, Secret: root.Secret, Embedded: true,
	})
}

// account owns the buckets of the embedded store; with an external one its own accounts do.
func (s *server) account() string {
	if s.cfg.Results != "" {
		return ""
	}
	return ergane.Account
}

// serve answers requests until ctx ends, or until nobody needs the server.
func (s *server) serve(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if s.cfg.ExitIdle > 0 {
		go func() {
			s.busy.awaitIdle(ctx, s.cfg.ExitIdle, func() bool { return s.manager.Live() == 0 })
			cancel()
		}()
	}
	served := make(chan error, 1)
	go func() {
		if s.cfg.TLSCert != "" {
			s.http.TLSConfig = &tls.Config{MinVersion: tls.VersionTLS12}
			served <- s.http.ServeTLS(bounded(s.socket, maxConnections), s.cfg.TLSCert, s.cfg.TLSKey)
			return
		}
		served <- s.http.Serve(bounded(s.socket, maxConnections))
	}()
	s.log.Info("serving", "api", s.info.API, "s3", s.info.S3, "data_dir", s.cfg.DataDir, "version", build())
	select {
	case err := <-served:
		return fmt.Errorf("serve the API: %w", err)
	case <-ctx.Done():
		s.log.Info("stopping; sessions live on", "live", s.manager.Live())
		return nil
	}
}

// close stops everything in the order in which it depends on each other. The
// kernels live on; the embedded S3 does while there are any.
func (s *server) close() error {
	var errs []error
	_, ours, _ := readServerInfo(s.cfg.DataDir)
	if s.lock != nil && ours {
		errs = append(errs, os.Remove(serverInfoPath(s.cfg.DataDir)))
	}
	if s.http != nil {
		ctx, cancel := context.WithTimeout(context.Background(), drainFor)
		go s.manager.Close() // ends the held requests, so that Shutdown need not wait for them
		if err := s.http.Shutdown(ctx); err != nil {
			errs = append(errs, s.http.Close())
		}
		cancel()
	}
	if s.socket != nil {
		s.socket.Close() // closed by Shutdown if it was served
	}
	if s.manager != nil {
		s.manager.Close()
	}
	s.stop()
	s.installing.Wait()
	if s.catalog != nil {
		s.catalog.Close()
	}
	if s.s3 != nil {
		ctx, cancel := context.WithTimeout(context.Background(), drainFor)
		if s.sessionsLive(ctx) {
			s.s3.Detach() // kernels write through it
		} else if err := s.s3.Stop(ctx); err != nil {
			errs = append(errs, err)
		}
		cancel()
	}
	if s.store != nil {
		errs = append(errs, s.store.Close())
	}
	if s.lock != nil {
		errs = append(errs, s.lock.Release())
	}
	return errors.Join(errs...)
}

// sessionsLive reports whether a session outlives the server, or may. Where the
// database does not tell, the kernels themselves do.
func (s *server) sessionsLive(ctx context.Context) bool {
	if s.store != nil {
		if live, err := s.store.LiveSessions(ctx); err == nil {
			return len(live) > 0
		}
	}
	return gateway.KernelsLive(s.cfg.DataDir)
}

// url is the API's address as a client writes it.
func (s *server) url() string {
	scheme := "http"
	if s.cfg.TLSCert != "" {
		scheme = "https"
	}
	host, port, _ := net.SplitHostPort(s.socket.Addr().String())
	if ip := net.ParseIP(host); ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	return scheme + "://" + net.JoinHostPort(host, port)
}
