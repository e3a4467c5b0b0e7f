package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"math"
	"os"
	"path/filepath"
	"time"

	"github.com/google/uuid"

	"github.com/ergane-dev/ergane"
	"github.com/ergane-dev/ergane/internal/credentials"
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

// host starts kernels on this machine: it brings the engine, the keys and the
// kernel package together for the session manager.
type host struct {
	dataDir string
	keys    *credentials.Keyring
	engines *engines
	info    func() serverInfo // where the API and S3 are
	deadMan time.Duration     // longest life of a kernel without a server
	cluster cluster           // where executors run
	// confiner keeps sessions apart; nil: nothing does.
	confiner *confiner
	log      *slog.Logger
	// descriptors are the limits of kernels.
	descriptors kernel.Descriptors
	// external is the store that sessions use in place of the embedded one;
	// its keys are not ours to narrow down, so every session gets the same.
	external *externalS3
	roles    roles
	// catalog is the address of the catalog that sessions share; empty: there is none.
	catalog string
	// metastore is the server of that catalog where it is ours.
	metastore *metastore.Server
	// results is the s3:// address of the result store, without a trailing slash.
	results string
}

// s3 is the store that a session's code has, and its key pair there.
func (h *host) s3(s ergane.Session) engine.S3 {
	if x, ok := h.roles[s.ExecutionRole]; ok {
		return x.inSession()
	}
	if h.external != nil {
		return h.external.inSession()
	}
	key, info := h.keys.Session(s.ID), h.info()
	return engine.S3{Endpoint: info.S3, Region: info.Region, AccessKeyID: key.AccessKeyID, Secret: key.Secret}
}

func (h *host) dir(sessionID string) string { return filepath.Join(sessionsPath(h.dataDir), sessionID) }

func (h *host) Resolve(selected string) (string, error) { return h.engines.resolve(selected) }

func (h *host) Location(uri string) error {
	u, err := objects.ParseURI(uri)
	if err == nil && h.external == nil && u.Key != "" {
		err = gateway.CheckKey(u.Key)
	}
	return err
}

func (h *host) Versions() []ergane.EngineVersion { return h.engines.table.Versions() }

func (h *host) Check(s ergane.Session) (memory int64, err error) {
	if err := h.roles.refuse(s.ExecutionRole); err != nil {
		return 0, err
	}
	properties, err := h.engines.check(s)
	if err != nil {
		return 0, err
	}
	return engine.Memory(properties, h.cluster.master, s.Engine.MaxConcurrentDpus), nil
}

// memoryLimit is how many bytes a session can have at most.
func (h *host) memoryLimit(s ergane.Session) int64 {
	return engine.MemoryLimit(s.Memory, h.cluster.master)
}

func (h *host) Prepare(ctx context.Context, s ergane.Session) error {
	_, err := h.prepare(ctx, s)
	return err
}

// prepare waits for the engine, and installs the table formats that the session needs.
func (h *host) prepare(ctx context.Context, s ergane.Session) (*engine.Engine, error) {
	e, err := h.engines.wait(ctx, s.EngineVersion)
	if err != nil {
		return nil, err
	}
	return e, h.engines.addFormats(ctx, e, s)
}

func (h *host) Downloads(s ergane.Session) bool { return engine.Downloads(s.Engine.Properties()) }

func (h *host) Start(ctx context.Context, s ergane.Session) (session.Kernel, error) {
	return h.start(ctx, s, min(s.IdleTimeout, h.deadMan), nil)
}

// start starts the kernel of a session, or one ahead of the session.
func (h *host) start(ctx context.Context, s ergane.Session, deadMan time.Duration, ahead *kernel.Ahead) (session.Kernel, error) {
	e, err := h.prepare(ctx, s)
	if err != nil {
		return nil, err
	}
	dir := h.dir(s.ID)
	if err := tree.Remove(dir); err != nil { // what a start left that was cut short
		return nil, fmt.Errorf("clear the session's folder: %w", err)
	}
	var policy *sandbox.Policy
	var claim *flock.Lock
	if h.confiner != nil {
		if policy, claim, err = h.confiner.policy(ctx, dir, e, h.memoryLimit(s)); err != nil {
			return nil, err
		}
		if claim != nil {
			defer claim.File().Close() // the shim has it then, or nobody
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
		Boot:        kernel.Boot{Env: h.environment(s), Java: (*kernel.Java)(&launch.Java), Spark: launch.Spark, Facts: factsOf(s)},
		Token:       h.keys.KernelToken(s.ID),
		DeadMan:     deadMan,
		ServerLock:  lockPath(h.dataDir),
		Shim:        []string{self, "shim"},
		Ahead:       ahead,
		Sandbox:     policy,
		Claim:       claim,
		Descriptors: h.descriptors,
		Log:         h.log,
	}
	replaceKernel(&spec)
	k, err := kernel.Start(ctx, spec)
	if err != nil {
		if ctx.Err() != nil { // else the next server would take the traces for a kernel that died
			err = errors.Join(err, tree.Remove(dir))
		}
		return nil, err
	}
	return sessionKernel{k, h, ahead != nil}, nil
}

// environment is what a session's code finds in its environment: where the API and S3 are, and its key.
func (h *host) environment(s ergane.Session) map[string]string {
	s3, info := h.s3(s), h.info()
	info.S3, info.Region = s3.Endpoint, s3.Region
	env := map[string]string{}
	for _, v := range clientEnv(info, credentials.Key{AccessKeyID: s3.AccessKeyID, Secret: s3.Secret}) {
		name, value := cutEnv(v)
		env[name] = value
	}
	return env
}

// launch is how a session's kernel is started, and its configuration of Spark.
func (h *host) launch(e *engine.Engine, s ergane.Session, policy *sandbox.Policy) (engine.Launch, error) {
	var home, user string
	if policy != nil {
		home, user = policy.Home, policy.Name
	}
	catalog, warehouse := h.catalogOf(s)
	return e.Launch(engine.LaunchSpec{
		Catalog:     catalog,
		Compares:    h.metastore != nil,
		Warehouse:   warehouse,
		Home:        home,
		User:        user,
		WorkDir:     filepath.Join(h.dir(s.ID), "work"),
		S3:          h.s3(s),
		Environment: h.environment(s),
		Properties:  s.Engine.Properties(),
		Master:      h.cluster.master,
		Secret:      h.cluster.secretOf(h.keys, s.ID),
		MaxDpus:     s.Engine.MaxConcurrentDpus,
	})
}

func factsOf(s ergane.Session) kernel.Facts {
	return kernel.Facts{
		WorkGroup:     s.WorkGroup,
		EngineVersion: s.EngineVersion.Effective,
		NotebookID:    s.Engine.AdditionalConfigs["NotebookId"],
		StartedAt:     s.Status.StartedAt,
	}
}

func (h *host) Adopt(ctx context.Context, sessionID string) (session.Kernel, error) {
	if err := uuid.Validate(sessionID); err != nil {
		return nil, session.ErrNoKernel
	}
	k, err := kernel.Adopt(ctx, h.dir(sessionID), h.keys.KernelToken(sessionID), h.log)
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

func (h *host) Expel(ctx context.Context, sessionID string) error {
	if err := uuid.Validate(sessionID); err != nil {
		return nil // no kernel was ever started
	}
	return kernel.Expel(ctx, h.dir(sessionID), h.log)
}

// ended is the error for a kernel that has ended; Spark's own refusal says
// more than the exit status with which the kernel leaves after it.
func (h *host) ended(sessionID string, exit ergane.Exit) error {
	if refusal := kernel.ReadRefusal(h.dir(sessionID)); refusal != nil {
		exit.Detail = refusal.Error()
	}
	return &session.ExitError{Exit: exit}
}

func (h *host) Spool(sessionID string) (session.Spool, error) {
	s, err := kernel.OpenSpool(h.dir(sessionID))
	if err != nil {
		return nil, damaged(err)
	}
	return sessionSpool{s}, nil
}

func (h *host) Logs(sessionID string) ([]session.Section, error) {
	var parts []session.Section
	for _, path := range kernel.Logs(h.dir(sessionID)) {
		f, err := os.Open(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return parts, err
		}
		parts = append(parts, logPart{f})
	}
	return parts, nil
}

// logPart is a part of a log as the session manager wants it.
type logPart struct{ *os.File }

func (p logPart) Len() int64 {
	info, err := p.Stat()
	if err != nil {
		return 0
	}
	return info.Size()
}

func (h *host) Discard(sessionID string) error {
	return tree.Remove(filepath.Join(h.dir(sessionID), "work"))
}

func (h *host) Trim(sessionID string) error {
	s, err := kernel.OpenSpool(h.dir(sessionID))
	if err != nil {
		return err
	}
	return errors.Join(s.Trim(), s.Close())
}

func (h *host) LogSize(sessionID string) (sum int64, err error) {
	entries, err := os.ReadDir(h.dir(sessionID))
	for _, e := range entries {
		if info, err := e.Info(); err == nil && info.Mode().IsRegular() {
			sum += info.Size()
		}
	}
	return sum, err
}

func (h *host) LogStored(sessionID string) (bool, error) {
	_, err := os.Stat(logStoredPath(h.dir(sessionID)))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}

func (h *host) SetLogStored(sessionID string) error {
	f, err := os.OpenFile(logStoredPath(h.dir(sessionID)), os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	return f.Close()
}

// logStoredPath is an empty file of the server's, beside the logs.
func logStoredPath(dir string) string { return filepath.Join(dir, "log.stored") }

func (h *host) Forget(sessionID string) error { return tree.Remove(h.dir(sessionID)) }

func (h *host) Sessions() ([]string, error) {
	entries, err := os.ReadDir(sessionsPath(h.dataDir))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	var ids []string
	for _, e := range entries {
		if uuid.Validate(e.Name()) == nil {
			ids = append(ids, e.Name())
		}
	}
	return ids, err
}

// sessionKernel is a kernel as the session manager wants it.
type sessionKernel struct {
	*kernel.Kernel
	host  *host
	ahead bool // it was started ahead of its session
}

func (k sessionKernel) Claim(ctx context.Context, s ergane.Session) error {
	if !k.ahead {
		return nil
	}
	c, err := k.host.claim(ctx, s)
	if err != nil {
		return err
	}
	return k.Kernel.Claim(ctx, c)
}

func (k sessionKernel) Has(id string) bool {
	if _, ok := k.Started(id); ok {
		return true
	}
	_, ok, err := k.Kernel.Spool().Outcome(id)
	return ok || err != nil || k.Runs(context.Background(), id)
}

func (k sessionKernel) Progress(ctx context.Context, id string) (done, total int, err error) {
	d, t, err := k.Kernel.Progress(ctx, id)
	return int(d), int(t), err
}

func (k sessionKernel) Executors(ctx context.Context) ([]ergane.SparkExecutor, error) {
	known, err := k.Kernel.Executors(ctx)
	var all []ergane.SparkExecutor
	for _, e := range known {
		all = append(all, ergane.SparkExecutor{App: e.App, Name: e.ID, Active: e.Active, AddedAt: e.AddedAt, RemovedAt: e.RemovedAt, Reason: e.RemovedReason})
	}
	return all, err
}

// sessionSpool is a spool as the session manager wants it.
type sessionSpool struct{ *kernel.Spool }

func (s sessionSpool) Outcome(id string) (ergane.Outcome, bool, error) {
	out, ok, err := s.Spool.Outcome(id)
	return out, ok && err == nil, unread(err)
}

func (s sessionSpool) Started(id string) (at time.Time, stdout, stderr int64, ok bool, err error) {
	st, ok, err := s.Spool.Started(id)
	return st.At, st.Stdout, st.Stderr, ok && err == nil, unread(err)
}

func (s sessionSpool) Size(stream string) (int64, error) {
	n, err := s.Spool.Size(kernel.Stream(stream))
	return n, damaged(err)
}

// unread is an error that may pass, or nil: a document that is there and
// cannot be believed is like none.
func unread(err error) error {
	if kernel.Unread(err) {
		return err
	}
	return nil
}

// damaged tells an error that stays, by session.ErrSpool, from one that may pass.
func damaged(err error) error {
	if err == nil || kernel.Unread(err) {
		return err
	}
	return fmt.Errorf("%w: %w", session.ErrSpool, err)
}

func (s sessionSpool) Release(stream string, r ergane.Range) error {
	return s.Spool.Release(kernel.Stream(stream), r)
}

func (s sessionSpool) Section(stream string, r ergane.Range) (session.Section, error) {
	return whole(s.Spool.Section(kernel.Stream(stream), r))
}

func (s sessionSpool) Outputs(id string, n int64) (session.Section, error) {
	if n < 0 {
		sec, err := s.Spool.Outputs(id, math.MaxInt64)
		if errors.Is(err, fs.ErrNotExist) {
			return session.Nothing, nil
		}
		if err != nil {
			return nil, damaged(err)
		}
		return section{sec}, nil
	}
	if n == 0 {
		return session.Nothing, nil
	}
	return whole(s.Spool.Outputs(id, n))
}

// section is a section as the session manager wants it.
type section struct{ *kernel.Section }

func (s section) Len() int64 { return s.Size() }

// whole refuses a section of which a part is missing.
func whole(s *kernel.Section, err error) (session.Section, error) {
	if err != nil {
		return nil, damaged(err)
	}
	if s.Missing > 0 {
		s.Close()
		return nil, fmt.Errorf("%w: %d bytes of the output are gone", session.ErrSpool, s.Missing)
	}
	return section{s}, nil
}
