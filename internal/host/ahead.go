package host

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"path/filepath"
	"time"

	"github.com/google/uuid"

	"github.com/ergane-dev/ergane"
	"github.com/ergane-dev/ergane/internal/kernel"
	"github.com/ergane-dev/ergane/internal/sandbox"
	"github.com/ergane-dev/ergane/internal/session"
)

// aheadDeadMan is how long a kernel without a session waits for the next server.
const aheadDeadMan = time.Minute

// Shape implements session.Host. A kernel's shape is its command lines and
// environments: all that is fixed when it starts, except for what follows from its
// id. If executors run on other machines, no kernel is started ahead.
func (h *Host) Shape(s ergane.Session) (string, ergane.Session) {
	e := h.Engines.installed(s.EngineVersion)
	if e == nil || !h.Cluster.Master.Local() {
		return "", ergane.Session{}
	}
	fixed, ok := e.Fixed(s.Engine.Properties())
	if !ok || len(e.MissingFormats(s.Engine.Properties())) > 0 { // once they are there, the command line is another
		return "", ergane.Session{}
	}
	like := ergane.Session{
		ID: uuid.Nil.String(), WorkingDirectory: s.WorkingDirectory, EngineVersion: s.EngineVersion, ExecutionRole: s.ExecutionRole, IdleTimeout: s.IdleTimeout, Memory: s.Memory,
		Engine: ergane.EngineConfiguration{SparkProperties: fixed},
	}
	var layers sandbox.Layers
	var policy *sandbox.Policy
	if h.Confiner != nil {
		layers = h.Confiner.Known()
		policy = &sandbox.Policy{Home: filepath.Join(h.dir(like.ID), "work", "home"), Name: sessionUser}
	}
	launch, err := h.launch(e, like, policy)
	if err != nil {
		return "", ergane.Session{}
	}
	launch.Spark = nil // the session's own
	doc, err := json.Marshal(struct {
		Server string
		Launch any
		Env    map[string]string
		S3     string
		Flags  SandboxFlags
		Layers sandbox.Layers
		Memory int64
	}{h.Version, launch, h.environment(like), h.s3(like).AccessKeyID, h.sandboxed(), layers, h.memoryLimit(like)})
	if err != nil {
		return "", ergane.Session{}
	}
	sum := sha256.Sum256(doc)
	return hex.EncodeToString(sum[:]), like
}

// sandboxed are the flags of the sandbox.
func (h *Host) sandboxed() SandboxFlags {
	if h.Confiner == nil {
		return SandboxFlags{}
	}
	return h.Confiner.flags
}

func (h *Host) StartAhead(ctx context.Context, like ergane.Session, shape string) (session.Kernel, error) {
	return h.start(ctx, like, min(aheadDeadMan, h.DeadMan), &kernel.Ahead{Shape: shape, Store: h.warmUpStore(like), Catalog: h.warmUpCatalog(like)})
}

// warmUpStore is the s3:// address where a kernel may write and read a few bytes
// while it warms up. It is at the top of the results, because s3a leaves markers of
// the folders above.
func (h *Host) warmUpStore(like ergane.Session) string {
	if _, ok := h.Roles[like.ExecutionRole]; ok {
		return "" // it is unknown where the role's key may write
	}
	return h.Results + "/.warm-up-" + like.ID
}

func (h *Host) Ahead(sessionID string) (shape string, at time.Time, ok bool) {
	shape, at, ok = kernel.ReadAhead(h.dir(sessionID))
	return shape, at, ok && !kernel.Claimed(h.dir(sessionID))
}

// claim is what a kernel that was started ahead must know of its session.
func (h *Host) claim(ctx context.Context, s ergane.Session) (kernel.Claim, error) {
	e, err := h.Engines.wait(ctx, s.EngineVersion)
	if err != nil {
		return kernel.Claim{}, err
	}
	launch, err := h.launch(e, s, nil)
	if err != nil {
		return kernel.Claim{}, err
	}
	return kernel.Claim{Facts: h.facts(s), Spark: launch.Spark, DeadMan: min(s.IdleTimeout, h.DeadMan)}, nil
}
