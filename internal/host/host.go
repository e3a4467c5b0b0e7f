// Package host runs kernels on this machine: it joins engines, the kernel
// package, keys and the sandbox for the session manager.
package host

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/ergane-dev/ergane"
	"github.com/ergane-dev/ergane/internal/credentials"
	"github.com/ergane-dev/ergane/internal/datadir"
	"github.com/ergane-dev/ergane/internal/engine"
	"github.com/ergane-dev/ergane/internal/flock"
	"github.com/ergane-dev/ergane/internal/kernel"
	"github.com/ergane-dev/ergane/internal/metastore"
	"github.com/ergane-dev/ergane/internal/objects"
	"github.com/ergane-dev/ergane/internal/objects/gateway"
	"github.com/ergane-dev/ergane/internal/sandbox"
	"github.com/ergane-dev/ergane/internal/session"
	"github.com/ergane-dev/ergane/internal/tree"
)

// Config configures a Host.
type Config struct {
	DataDir string
	Keys    *credentials.Keyring
	Engines *Engines
	Server  func() datadir.Server // where the API and S3 are
	DeadMan time.Duration         // how long a kernel may live without a server
	Cluster Cluster               // where executors run
	// Confiner isolates sessions; nil isolates nothing.
	Confiner *Confiner
	// External is the S3 that sessions use instead of the embedded one. Ergane
	// cannot derive keys for it, so all sessions get the same one.
	External *ExternalS3
	Roles    Roles
	Pip      Pip
	// Results is the s3:// address for results, without a trailing slash.
	Results string
	// Version is that of this binary: kernels that another one started ahead are not used.
	Version string
	Log     *slog.Logger
	// Descriptors are the limits of kernels.
	Descriptors kernel.Descriptors
}

// A Host starts kernels on this machine. It implements session.Host.
type Host struct {
	Config
	// catalog is the address of the catalog that sessions share; empty if there is none.
	catalog string
	// metastore is that catalog's server; nil if it is not Ergane's own.
	metastore *metastore.Server
}

// New makes a Host. It starts nothing.
func New(c Config) *Host { return &Host{Config: c} }

// s3 is the S3 that a session uses, with its key pair.
func (h *Host) s3(s ergane.Session) engine.S3 {
	if x, ok := h.Roles[s.ExecutionRole]; ok {
		return x.inSession()
	}
	if h.External != nil {
		return h.External.inSession()
	}
	key, info := h.Keys.Session(s.ID), h.Server()
	return engine.S3{Endpoint: info.S3, Region: info.Region, AccessKeyID: key.AccessKeyID, Secret: key.Secret}
}

func (h *Host) dir(sessionID string) string {
	return filepath.Join(datadir.Sessions(h.DataDir), sessionID)
}

func (h *Host) Resolve(selected string) (string, error) { return h.Engines.resolve(selected) }

func (h *Host) Location(uri string) error {
	u, err := objects.ParseURI(uri)
	if err == nil && h.External == nil && u.Key != "" {
		err = gateway.CheckKey(u.Key)
	}
	return err
}

func (h *Host) Versions() []ergane.EngineVersion { return h.Engines.table.Versions() }

func (h *Host) Check(s ergane.Session) (memory int64, err error) {
	if err := h.Roles.refuse(s.ExecutionRole); err != nil {
		return 0, err
	}
	properties, err := h.Engines.check(s)
	if err != nil {
		return 0, err
	}
	return engine.Memory(properties, h.Cluster.Master, s.Engine.MaxConcurrentDpus), nil
}

// memoryLimit is the most memory, in bytes, that a session can use.
func (h *Host) memoryLimit(s ergane.Session) int64 {
	return engine.MemoryLimit(s.Memory, h.Cluster.Master)
}

func (h *Host) Prepare(ctx context.Context, s ergane.Session) error {
	_, err := h.prepare(ctx, s)
	return err
}

// prepare waits for the engine, and installs the table formats that the session needs.
func (h *Host) prepare(ctx context.Context, s ergane.Session) (*engine.Engine, error) {
	e, err := h.Engines.wait(ctx, s.EngineVersion)
	if err != nil {
		return nil, err
	}
	return e, h.Engines.addFormats(ctx, e, s)
}

func (h *Host) Downloads(s ergane.Session) bool { return engine.Downloads(s.Engine.Properties()) }

func (h *Host) Start(ctx context.Context, s ergane.Session) (session.Kernel, error) {
	return h.start(ctx, s, min(s.IdleTimeout, h.DeadMan), nil)
}

// start starts the kernel of a session, or one ahead of the session.
func (h *Host) start(ctx context.Context, s ergane.Session, deadMan time.Duration, ahead *kernel.Ahead) (session.Kernel, error) {
	e, err := h.prepare(ctx, s)
	if err != nil {
		return nil, err
	}
	dir := h.dir(s.ID)
	if err := tree.Remove(dir); err != nil { // what an interrupted start left
		return nil, fmt.Errorf("clear the session's folder: %w", err)
	}
	var policy *sandbox.Policy
	var claim *flock.Lock
	if h.Confiner != nil {
		if policy, claim, err = h.Confiner.policy(ctx, dir, e, h.memoryLimit(s)); err != nil {
			return nil, err
		}
		if claim != nil {
			defer claim.File().Close() // the shim holds it then, or nobody
		}
	}
	launch, err := h.launch(e, s, policy)
	if err == nil {
		err = launch.Prepare()
	}
	if err != nil {
		return nil, err
	}
	spec := kernel.Spec{
		Dir:         dir,
		Argv:        launch.Argv,
		Env:         launch.Env,
		Boot:        kernel.Boot{Env: h.environment(s), Java: (*kernel.Java)(&launch.Java), Spark: launch.Spark, Facts: h.facts(s)},
		Token:       h.Keys.KernelToken(s.ID),
		DeadMan:     deadMan,
		ServerLock:  datadir.Lock(h.DataDir),
		Shim:        []string{datadir.Self, "shim"},
		Ahead:       ahead,
		Sandbox:     policy,
		Claim:       claim,
		Descriptors: h.Descriptors,
		Log:         h.Log,
	}
	replaceKernel(&spec)
	k, err := kernel.Start(ctx, spec)
	if err != nil {
		if ctx.Err() != nil { // else the next server would take the files for those of a kernel that died
			err = errors.Join(err, tree.Remove(dir))
		}
		return nil, err
	}
	return sessionKernel{k, h, ahead != nil}, nil
}

// environment is what a session's environment has for its code: the addresses of the API and S3, and its key.
func (h *Host) environment(s ergane.Session) map[string]string {
	s3, info := h.s3(s), h.Server()
	info.S3, info.Region = s3.Endpoint, s3.Region
	env := map[string]string{}
	for _, v := range info.ClientEnv(credentials.Key{AccessKeyID: s3.AccessKeyID, Secret: s3.Secret}) {
		name, value, _ := strings.Cut(v, "=")
		env[name] = value
	}
	return env
}

// launch is how a session's kernel is started, and its configuration of Spark.
func (h *Host) launch(e *engine.Engine, s ergane.Session, policy *sandbox.Policy) (engine.Launch, error) {
	var home, user string
	if policy != nil {
		home, user = policy.Home, policy.Name
	}
	catalog, warehouse := h.catalogOf(s)
	return e.Launch(engine.LaunchSpec{
		Catalog:       catalog,
		CompareAndSet: h.metastore != nil,
		Warehouse:     warehouse,
		Home:          home,
		User:          user,
		WorkDir:       filepath.Join(h.dir(s.ID), "work"),
		S3:            h.s3(s),
		Environment:   h.environment(s),
		Properties:    s.Engine.Properties(),
		Master:        h.Cluster.Master,
		Secret:        h.Cluster.secretOf(h.Keys, s.ID),
		MaxDpus:       s.Engine.MaxConcurrentDpus,
	})
}

func (h *Host) facts(s ergane.Session) kernel.Facts {
	return kernel.Facts{
		Pip:           h.Pip.of(s.WorkGroup, h.Log),
		WorkGroup:     s.WorkGroup,
		EngineVersion: s.EngineVersion.Effective,
		NotebookID:    s.Engine.AdditionalConfigs["NotebookId"],
		StartedAt:     s.Status.StartedAt,
	}
}

func (h *Host) Adopt(ctx context.Context, sessionID string) (session.Kernel, error) {
	if err := uuid.Validate(sessionID); err != nil {
		return nil, session.ErrNoKernel
	}
	k, err := kernel.Adopt(ctx, h.dir(sessionID), h.Keys.KernelToken(sessionID), h.Log)
	gone := new(kernel.GoneError)
	switch {
	case errors.Is(err, kernel.ErrNotStarted):
		return nil, session.ErrNoKernel
	case errors.Is(err, kernel.ErrLost):
		return nil, fmt.Errorf("%w: %w", session.ErrLost, err)
	case errors.Is(err, kernel.ErrRebooted):
		return nil, &session.ExitError{Exit: ergane.Exit{Detail: "the machine was restarted"}}
	case errors.As(err, &gone):
		return nil, h.ended(sessionID, gone.Exit)
	case err != nil:
		return nil, err
	}
	_, _, ahead := kernel.ReadAhead(h.dir(sessionID))
	return sessionKernel{k, h, ahead}, nil
}

func (h *Host) Expel(ctx context.Context, sessionID string) error {
	if err := uuid.Validate(sessionID); err != nil {
		return nil // no kernel was ever started
	}
	return kernel.Expel(ctx, h.dir(sessionID), h.Log)
}

// ended is the error for a kernel that has ended. If Spark refused to start, its
// error says more than the kernel's exit status.
func (h *Host) ended(sessionID string, exit ergane.Exit) error {
	if refusal := kernel.ReadRefusal(h.dir(sessionID)); refusal != nil {
		exit.Detail = refusal.Error()
	}
	return &session.ExitError{Exit: exit}
}
