package host

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"log/slog"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/ergane-dev/ergane/internal/datadir"
	"github.com/ergane-dev/ergane/internal/engine"
	"github.com/ergane-dev/ergane/internal/flock"
	"github.com/ergane-dev/ergane/internal/sandbox"
)

// A Confiner gives each session its sandbox.
type Confiner struct {
	flags   SandboxFlags
	dataDir string
	claims  string       // the folder in which the servers of this machine claim users
	view    sandbox.View // of all sessions
	memory  int64        // bytes that all sessions may use together; 0 is no limit
	shared  bool         // executors run on a cluster that knows only the server's user
	named   []string     // layers that --sandbox requires
	log     *slog.Logger

	trying sync.Mutex // held while the layers are tried, which may take long
	before proven     // what worked before; guarded by trying

	mu     sync.Mutex
	user   int            // the last one that a session got; guarded by mu
	tried  *engine.Engine // the one that layers were tried with; guarded by mu
	layers sandbox.Layers // guarded by mu
}

// NewConfiner makes a Confiner that has tried no layers yet; nil with --sandbox
// off. hidden are files of the server outside of its data dir; memory is how many
// bytes sessions may use together.
func NewConfiner(f SandboxFlags, dataDir string, memory int64, master engine.Master, hidden []string, log *slog.Logger) (*Confiner, error) {
	if f.Sandbox == SandboxOff {
		return nil, nil
	}
	c := &Confiner{flags: f, dataDir: dataDir, claims: sandbox.ClaimsDir, memory: memory, shared: !master.Here(), log: log}
	var err error
	if c.named, err = f.named(); err != nil {
		return nil, err
	}
	if c.view, err = f.view(append(slices.Clip(hidden), dataDir)); err != nil {
		return nil, err
	}
	if c.shared {
		c.view = c.view.AndRead(clusterFiles()...)
	}
	c.before, err = readProven(dataDir)
	return c, err
}

// Open tries the layers. It fails if one does not work that must.
func (c *Confiner) Open(ctx context.Context) error {
	l, err := c.detect(ctx, nil, c.expected(c.before.Server))
	if err != nil {
		return err
	}
	c.layers = l
	c.log.Info("sandbox", "user", DescribeLayer(l.User), "mounts", DescribeLayer(l.Mounts), "landlock", DescribeLayer(l.Landlock),
		"pids", DescribeLayer(l.Pids), "group", DescribeLayer(l.Group))
	if err := c.lacks(l, c.before.Server); err != nil {
		return err
	}
	c.warn(l)
	return c.remember(proven{Server: l.Active(), Sessions: c.before.Sessions.and(l.Active())})
}

// LayerActive describes a layer that works.
const LayerActive = "active"

// DescribeLayer is LayerActive, or the reason why the layer does not work.
func DescribeLayer(l sandbox.Layer) string {
	if l.Active {
		return LayerActive
	}
	return l.Why
}

// clusterFiles are the folders that Spark reads to find clusters.
func clusterFiles() (files []string) {
	for _, name := range []string{"HADOOP_CONF_DIR", "YARN_CONF_DIR"} {
		if dir := os.Getenv(name); dir != "" {
			files = append(files, dir)
		}
	}
	return append(files, "/var/run/secrets/kubernetes.io")
}

// detect tries the layers, with the engine's files if e is not nil. Those that are
// expected to work are tried several times.
func (c *Confiner) detect(ctx context.Context, e *engine.Engine, expected []string) (sandbox.Layers, error) {
	s := sandbox.Setup{
		Stage: []string{datadir.Self, "confine"}, DataDir: c.dataDir, View: c.view, Users: c.flags.SessionUsers, Expected: expected,
		Again: func(missing []string, l sandbox.Layers) {
			c.log.Info("sandbox: trying again", "layers", strings.Join(missing, ","), "reason", l.Named(missing[0]).Why)
		},
	}
	if e != nil {
		s.View, s.Need = s.View.AndRead(e.Needs()...), e.Programs()
	}
	l, err := sandbox.Detect(ctx, s)
	if err == nil && c.shared && l.User.Active {
		l.User = sandbox.Layer{Why: "the cluster knows only the server's user"}
	}
	return l, err
}

// strict is the error if the layers are less than --sandbox strict requires.
func (c *Confiner) strict(l sandbox.Layers) error {
	if c.flags.Sandbox != sandboxStrict || (l.User.Active || l.Mounts.Active) && l.Landlock.Active {
		return nil
	}
	if !l.Landlock.Active {
		return fmt.Errorf("--sandbox strict: Landlock does not work here: %s", l.Landlock.Why)
	}
	return fmt.Errorf("--sandbox strict: sessions can have neither a user of their own (%s) nor mounts of their own (%s)", l.User.Why, l.Mounts.Why)
}

// Known are the layers that were found so far.
func (c *Confiner) Known() sandbox.Layers {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.layers
}

// with returns the layers that work with an engine, whose files a session's own
// user may be unable to read.
func (c *Confiner) with(ctx context.Context, e *engine.Engine) (sandbox.Layers, error) {
	c.trying.Lock()
	defer c.trying.Unlock()
	c.mu.Lock()
	tried, known := c.tried, c.layers
	c.mu.Unlock()
	if tried == e || !known.User.Active {
		return known, nil
	}
	l, err := c.detect(ctx, e, c.expected(c.before.Sessions))
	if err == nil {
		err = c.lacks(l, c.before.Sessions)
	}
	if err != nil {
		return l, err
	}
	if !slices.Equal(l.Active(), known.Active()) {
		c.warn(l)
	}
	if err := c.remember(proven{Server: c.before.Server, Sessions: l.Active()}); err != nil {
		return l, err
	}
	c.mu.Lock()
	c.tried, c.layers = e, l
	c.mu.Unlock()
	return l, nil
}

// group is the control group of the session with the folder dir, which may use
// memory bytes; nil if there are no control groups.
func (c *Confiner) group(l sandbox.Layers, dir string, memory int64) *sandbox.Group {
	server := sha256.Sum256([]byte(c.dataDir))
	g := l.NewGroup(hex.EncodeToString(server[:4]), filepath.Base(dir))
	if g == nil {
		return nil
	}
	if g.Total = c.memory; g.Total > 0 {
		memory = min(memory, g.Total)
	}
	g.Memory, g.Processes = memory, c.flags.MaxProcesses
	return g
}

// policy makes the folder of a session, which may use memory bytes, and its
// sandbox. The session's shim inherits claim; then, or if the shim is not started,
// the caller must close its copy. claim is nil if the session has no own user.
func (c *Confiner) policy(ctx context.Context, dir string, e *engine.Engine, memory int64) (_ *sandbox.Policy, claim *flock.Lock, err error) {
	l, err := c.with(ctx, e)
	if err != nil {
		return nil, nil, err
	}
	work := filepath.Join(dir, "work")
	p := &sandbox.Policy{
		Stage: []string{datadir.Self, "confine"}, Dir: filepath.Join(work, "tmp"),
		Mounts: l.Mounts.Active, Pids: l.Pids.Active, Landlock: l.Landlock.Active, Home: filepath.Join(work, "home"),
		Group: c.group(l, dir, memory),
	}
	if p.User, claim, err = c.claim(work, l.User.Active); err != nil {
		return nil, nil, err
	}
	tmp := filepath.Join(work, "systmp")
	for _, sub := range []string{p.Home, tmp} {
		if err := os.Mkdir(sub, 0o700); err != nil {
			releaseClaim(claim)
			return nil, nil, fmt.Errorf("make the session's folder: %w", err)
		}
	}
	if p.Name = sessionUser; p.User != 0 {
		p.Processes = c.flags.MaxProcesses
	} else if me, err := user.Current(); err == nil && !strings.ContainsAny(me.Username, ":\n") {
		p.Name = me.Username
	}
	p.View = c.view.AndRead(e.Needs()...).AndWrite(work)
	p.View.Tmp = tmp
	return p, claim, nil
}

// TryLayers tries the layers as a server would at its start, and records nothing;
// e may be nil. lacking is the error with which such a server would not start.
func TryLayers(ctx context.Context, f SandboxFlags, dataDir string, memory int64, e *engine.Engine) (l sandbox.Layers, lacking, err error) {
	c, err := NewConfiner(f, dataDir, memory, engine.Master{}, nil, slog.New(slog.DiscardHandler))
	if err != nil {
		return l, nil, err
	}
	worked := c.before.Server
	if e != nil {
		worked = c.before.Sessions
	}
	if l, err = c.detect(ctx, e, c.expected(worked)); err != nil {
		return l, nil, err
	}
	return l, c.lacks(l, worked), nil
}
