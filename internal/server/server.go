// Package server is everything that `ergane serve` runs, from Open to Close.
package server

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

	"golang.org/x/sys/unix"

	"github.com/ergane-dev/ergane"
	"github.com/ergane-dev/ergane/internal/api"
	"github.com/ergane-dev/ergane/internal/awsjson"
	"github.com/ergane-dev/ergane/internal/credentials"
	"github.com/ergane-dev/ergane/internal/datadir"
	"github.com/ergane-dev/ergane/internal/engine"
	"github.com/ergane-dev/ergane/internal/flock"
	"github.com/ergane-dev/ergane/internal/host"
	"github.com/ergane-dev/ergane/internal/kernel"
	"github.com/ergane-dev/ergane/internal/metastore"
	"github.com/ergane-dev/ergane/internal/metrics"
	"github.com/ergane-dev/ergane/internal/objects"
	"github.com/ergane-dev/ergane/internal/objects/gateway"
	"github.com/ergane-dev/ergane/internal/session"
	"github.com/ergane-dev/ergane/internal/store"
)

// AlreadyServed is the beginning of the error of a server whose data dir is in use.
const AlreadyServed = "a server already runs on "

const (
	// orphanedFor is how long the kernel of a server that ends by itself lives without it.
	orphanedFor = 10 * time.Second
	// drainFor bounds the wait for requests when the server stops.
	drainFor = 5 * time.Second
)

// Config configures a server. Open does not check it.
type Config struct {
	DataDir, EngineDir string
	Programs           engine.Programs // that engines are installed with
	Listen, S3Listen   string
	Results            string // "" is the embedded S3
	External           host.ExternalS3
	Roles              host.Roles
	Pip                host.Pip
	Cluster            host.Cluster
	Catalog            string // host.CatalogAuto, host.CatalogOff or an address
	Sandbox            host.SandboxFlags
	Secrets            []string // files that sessions must not see
	Hold, ExitIdle     time.Duration
	TLSCert, TLSKey    string
	SelfSigned         string // TLSCert's path, if it is self-signed
	Pool               session.Pool
	Keep               session.Retention
	KeptFor            string        // Keep, in words
	Limits             ergane.Limits // of what is live at once
	MaxRunTime         time.Duration // of a calculation; 0: any
	MaxStart           time.Duration // of a session's start; 0: the default
	MaxOutput, MaxDisk int64         // bytes
	MaxPendingBytes    int64         // of output that waits for the result store; 0: a tenth of the disk of the data folder
	APIRate            int           // calls a second of a key; 0: any number
	MaxLogs            int64         // bytes
	Version            string        // names this very binary
	Descriptors        kernel.Descriptors
}

// A Server is everything that `ergane serve` runs.
type Server struct {
	cfg     Config
	log     *slog.Logger
	lock    *flock.Lock
	id      string // that of the data dir
	info    datadir.Server
	store   *store.Store
	s3      *gateway.Supervisor // nil with an external store
	engines *host.Engines
	catalog *metastore.Server // nil where the server keeps none
	manager *session.Manager
	metrics *metrics.Metrics
	// confiner is nil with --sandbox off.
	confiner *host.Confiner
	http     *http.Server
	socket   net.Listener
	busy     activity

	installing sync.WaitGroup
	stop       context.CancelFunc
}

// Open locks the data dir and starts everything except answering requests.
// After an error nothing of it is left.
func Open(ctx context.Context, cfg Config, log *slog.Logger) (_ *Server, err error) {
	s := &Server{cfg: cfg, log: log}
	work, stop := context.WithCancel(context.WithoutCancel(ctx))
	s.stop = stop
	defer func() {
		if err != nil {
			err = errors.Join(err, s.Close())
		}
	}()
	if err := s.takeDataDir(); err != nil {
		return nil, err
	}
	if s.id, err = datadir.ServerID(cfg.DataDir); err != nil {
		return nil, err
	}
	keys, err := credentials.Open(cfg.DataDir)
	if err != nil {
		return nil, err
	}
	if err := host.CheckSessionKeys(cfg.External, cfg.Roles, keys.Root().AccessKeyID); err != nil {
		return nil, err
	}
	wide := host.WideKeys(s.external(), cfg.Roles)
	for _, d := range wide.Dangers() {
		log.Warn(d.Detail, "advice", d.Advice)
	}
	if s.socket, err = listen(cfg.Listen, filepath.Join(cfg.DataDir, "listen")); err != nil {
		return nil, err
	}
	s.info = datadir.Server{
		PID: os.Getpid(), Started: time.Now(), API: s.url(), Region: datadir.Region, Files: "s3://ergane-files",
		ExitsIdle: cfg.ExitIdle > 0, CertFile: cfg.SelfSigned, Master: cfg.Cluster.Master.String(), Version: cfg.Version,
		WideKeys: wide, Keep: cfg.KeptFor,
	}
	results, err := s.openResults(ctx, keys)
	if err != nil {
		return nil, err
	}
	if s.store, err = openStore(ctx, cfg.DataDir, log); err != nil {
		return nil, err
	}
	if s.engines, err = host.NewEngines(work, cfg.EngineDir, cfg.Programs, log); err != nil {
		return nil, err
	}
	s.confiner, err = host.NewConfiner(cfg.Sandbox, cfg.DataDir, cfg.Limits.Memory, cfg.Cluster.Master, cfg.Secrets, log)
	if err != nil {
		return nil, err
	}
	if s.confiner != nil {
		if err := s.confiner.Open(ctx); err != nil {
			return nil, err
		}
		s.info.Group = s.confiner.Known().Group
	}
	s.installing.Go(s.engines.Run)

	h := host.New(host.Config{
		DataDir: cfg.DataDir, Keys: keys, Engines: s.engines, Server: func() datadir.Server { return s.info }, DeadMan: s.deadMan(), Cluster: cfg.Cluster,
		Confiner: s.confiner, External: s.external(), Roles: cfg.Roles, Pip: cfg.Pip, Results: cmp.Or(cfg.Results, "s3://ergane-results"), Version: cfg.Version, Log: log, Descriptors: cfg.Descriptors,
	})
	if err := s.openCatalog(h); err != nil {
		return nil, err
	}
	s.metrics = metrics.New(cfg.Version)
	states, kernels, bucket := crashing(s.store, h, results)
	s.manager = session.New(session.Config{
		Server: s.id, Meter: s.metrics, Pool: cfg.Pool, Keep: cfg.Keep,
		Hold: cfg.Hold, Results: cfg.Results, Account: s.account(), DefaultEngine: s.engines.Default(),
		Limits: cfg.Limits, MaxOutput: cfg.MaxOutput, MaxRunTime: cfg.MaxRunTime, MaxStart: cfg.MaxStart, MaxDisk: cfg.MaxDisk,
		MaxPendingBytes: cfg.maxPendingBytes(), MaxLogs: cfg.MaxLogs,
	}, states, kernels, bucket, log)
	if err := s.manager.Start(ctx); err != nil {
		return nil, err
	}
	verifier := awsjson.NewVerifier(api.SigningName, s.callers(keys), time.Now)
	mux := http.NewServeMux()
	api.New(s.manager, api.Config{
		Verifier: verifier, PageKey: keys.Derive("page tokens"), Rate: cfg.APIRate,
		Begin: begin, Observe: s.metrics.Answered, Log: log,
	}).Register(mux)
	s.registerHealth(mux)
	s.http = newHTTP(s.observed(s.busy.count(mux)), log)
	return s, datadir.WriteJSON(datadir.ServerFile(cfg.DataDir), s.info)
}

// callers finds the keys that sign calls of the API. The key of a session ends
// with it, and the keys that sessions use for an external store are never found.
func (s *Server) callers(keys *credentials.Keyring) awsjson.KeyLookup {
	return func(id string) (awsjson.Key, error) {
		root := awsjson.Principal{Kind: awsjson.PrincipalRoot}
		if s.cfg.Results != "" && id == s.cfg.External.AccessKeyID {
			return awsjson.Key{Secret: s.cfg.External.Secret, For: root}, nil
		}
		if arn, secret, ok := s.cfg.Roles.Secret(id); ok {
			return awsjson.Key{Secret: secret, For: awsjson.Principal{Kind: awsjson.PrincipalRole, Name: arn}}, nil
		}
		k, ok := keys.Lookup(id)
		switch {
		case ok && k.SessionID == "":
			return awsjson.Key{Secret: k.Secret, For: root}, nil
		case ok && s.manager.Owns(k.SessionID):
			return awsjson.Key{Secret: k.Secret, For: awsjson.Principal{Kind: awsjson.PrincipalSession, Name: k.SessionID}}, nil
		}
		return awsjson.Key{}, awsjson.ErrUnknownKey
	}
}

// Info says how the server is found.
func (s *Server) Info() datadir.Server { return s.info }

// external is the external store for results, or nil.
func (s *Server) external() *host.ExternalS3 {
	if s.cfg.Results == "" {
		return nil
	}
	return &s.cfg.External
}

// deadMan is how long kernels live without a server at most.
func (s *Server) deadMan() time.Duration {
	if s.cfg.ExitIdle > 0 {
		return orphanedFor
	}
	return 24 * time.Hour
}

// maxPendingBytes is how many bytes of output may wait for redelivery.
func (cfg Config) maxPendingBytes() int64 {
	if cfg.MaxPendingBytes > 0 {
		return cfg.MaxPendingBytes
	}
	var st unix.Statfs_t
	if unix.Statfs(cfg.DataDir, &st) != nil {
		return 0
	}
	return int64(st.Blocks) * int64(st.Bsize) / 10
}

// takeDataDir locks the data dir for this server.
func (s *Server) takeDataDir() error {
	if err := datadir.Make(s.cfg.DataDir); err != nil {
		return err
	}
	lock, err := flock.Acquire(datadir.Lock(s.cfg.DataDir))
	if errors.Is(err, flock.ErrHeld) {
		return fmt.Errorf("%s%s%s; stop it, or name another folder with --data-dir", AlreadyServed, s.cfg.DataDir, datadir.ServedBy(s.cfg.DataDir))
	}
	if err != nil {
		return err
	}
	s.lock = lock
	// What a dead server left would be taken for this server's from now on.
	if err := os.Remove(datadir.ServerFile(s.cfg.DataDir)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove what an earlier server left: %w", err)
	}
	return nil
}

// openResults starts or adopts the embedded S3, unless there is an external
// one, and returns the store that results go to.
func (s *Server) openResults(ctx context.Context, keys *credentials.Keyring) (*objects.Client, error) {
	if s.cfg.Results != "" {
		x := s.cfg.External
		s.info.S3, s.info.Region, s.info.ExternalS3 = x.Endpoint, x.Region, true
		s.info.Files = s.cfg.Results + "/files"
		return objects.New(objects.Config{Endpoint: x.Endpoint, Region: x.Region, AccessKeyID: x.AccessKeyID, Secret: x.Secret, PathStyle: true})
	}
	sup, err := gateway.NewSupervisor(gateway.SupervisorConfig{
		DataDir: s.cfg.DataDir, Listen: s.cfg.S3Listen, Command: []string{datadir.Self, "s3"}, Log: s.log,
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
		Endpoint: s.info.S3, Region: datadir.Region, AccessKeyID: root.AccessKeyID, Secret: root.Secret, Embedded: true,
	})
}

// account owns the buckets of the embedded S3; empty with an external store, which has its own accounts.
func (s *Server) account() string {
	if s.cfg.Results != "" {
		return ""
	}
	return ergane.Account
}

// Serve answers requests until ctx ends or, with ExitIdle, no client needs the server.
func (s *Server) Serve(ctx context.Context) error {
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
	s.log.Info("serving", "api", s.info.API, "s3", s.info.S3, "data_dir", s.cfg.DataDir, "version", s.cfg.Version)
	select {
	case err := <-served:
		return fmt.Errorf("serve the API: %w", err)
	case <-ctx.Done():
		s.log.Info("stopping; sessions go on without the server", "live", s.manager.Live())
		return nil
	}
}

// Close stops everything in the order of dependencies. The kernels live on; so
// does the embedded S3 while there are any.
func (s *Server) Close() error {
	var errs []error
	_, ours, _ := datadir.ReadServer(s.cfg.DataDir)
	if s.lock != nil && ours {
		errs = append(errs, os.Remove(datadir.ServerFile(s.cfg.DataDir)))
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

// sessionsLive reports whether a session outlives the server, or may. If the
// database cannot be read, the locks of the kernels are asked.
func (s *Server) sessionsLive(ctx context.Context) bool {
	if s.store != nil {
		if live, err := s.store.LiveSessions(ctx, s.id); err == nil {
			return len(live) > 0
		}
	}
	return gateway.KernelsLive(s.cfg.DataDir)
}

// url is the API's address for clients.
func (s *Server) url() string {
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
