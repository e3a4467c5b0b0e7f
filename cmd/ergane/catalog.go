package main

import (
	"context"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"github.com/ergane-dev/ergane"
	"github.com/ergane-dev/ergane/internal/engine"
	"github.com/ergane-dev/ergane/internal/flock"
	"github.com/ergane-dev/ergane/internal/metastore"
	"github.com/ergane-dev/ergane/internal/sandbox"
)

const (
	catalogAuto = "auto"
	catalogOff  = "off"
)

// checkCatalog refuses a --catalog that cannot be meant.
func checkCatalog(catalog string) error {
	if catalog == catalogAuto || catalog == catalogOff {
		return nil
	}
	for address := range strings.SplitSeq(catalog, ",") { // Hive takes several, which stand in for each other
		u, err := url.Parse(address)
		if err != nil || u.Scheme != "thrift" || u.Port() == "" || u.Hostname() == "" || u.Path != "" {
			return fmt.Errorf("--catalog %s is neither %s nor %s nor of the form thrift://host:port", catalog, catalogAuto, catalogOff)
		}
	}
	return nil
}

func catalogPath(dataDir string) string { return filepath.Join(dataDir, "metastore") }

// openCatalog makes the host's sessions share a catalog, if they are to.
func (s *server) openCatalog(h *host) error {
	switch s.cfg.Catalog {
	case catalogOff:
		return nil
	case catalogAuto:
	default:
		h.catalog = s.cfg.Catalog
		return nil
	}
	socket, err := listen("127.0.0.1:0", filepath.Join(s.cfg.DataDir, "catalog"))
	if err != nil {
		return err
	}
	s.catalog = metastore.Serve(socket, metastore.Config{Dir: catalogPath(s.cfg.DataDir), Command: h.metastoreCommand, Log: s.log})
	h.catalog, h.metastore = "thrift://"+s.catalog.Addr(), s.catalog
	return nil
}

// catalogOf is the catalog that a session uses and where it puts new databases;
// empty where it has a catalog of its own.
func (h *host) catalogOf(s ergane.Session) (address, warehouse string) {
	if h.catalog == "" {
		return "", ""
	}
	output := h.results
	if i := strings.LastIndex(s.WorkingDirectory, "/session/"); i >= 0 {
		output = s.WorkingDirectory[:i]
	}
	return h.catalog, output + "/warehouse"
}

// warmUpCatalog tells whether a kernel that is started ahead warms up in its
// catalog, too: ours is not started for that before anybody has used it.
func (h *host) warmUpCatalog(like ergane.Session) bool {
	address, _ := h.catalogOf(like)
	return address == "" || h.metastore == nil || h.metastore.Running()
}

// metastoreCommand is how the catalog's process is started.
func (h *host) metastoreCommand(ctx context.Context) (_ metastore.Command, err error) {
	e, err := h.engines.wait(ctx, h.engines.usual())
	if err != nil {
		return metastore.Command{}, err
	}
	work := filepath.Join(catalogPath(h.dataDir), "work")
	tmp := filepath.Join(work, "tmp")
	if err := os.MkdirAll(tmp, 0o700); err != nil {
		return metastore.Command{}, fmt.Errorf("make the catalog's folder: %w", err)
	}
	argv, env, hadoop := e.MetastoreCommand(tmp, h.metastoreS3(), metastore.Options)
	run, err := metastore.Prepare(work, h.results+"/warehouse", hadoop)
	if err != nil {
		return metastore.Command{}, err
	}
	c := metastore.Command{Argv: append(argv, run...), Env: env}
	if h.confiner != nil {
		c.Sandbox, c.Ended, err = h.confiner.catalogPolicy(ctx, work, tmp, e)
	}
	return c, err
}

// metastoreS3 is the store that the catalog makes and removes folders in, and its key there.
func (h *host) metastoreS3() engine.S3 {
	if h.external != nil {
		return h.external.engine()
	}
	key, info := h.keys.Catalog(), h.info()
	return engine.S3{Endpoint: info.S3, Region: info.Region, AccessKeyID: key.AccessKeyID, Secret: key.Secret}
}

// catalogPolicy is the sandbox of the catalog's process: it takes orders from
// every session, and must not be more than one of them. Its folder becomes its
// user's. ended has to be called when the process has ended, or will not run.
func (c *confiner) catalogPolicy(ctx context.Context, work, tmp string, e *engine.Engine) (_ *sandbox.Policy, ended func(), err error) {
	l, err := c.with(ctx, e)
	if err != nil {
		return nil, nil, err
	}
	p := &sandbox.Policy{
		Stage: []string{self, "confine"}, Dir: tmp, Mounts: l.Mounts.Active, Landlock: l.Landlock.Active, Name: sessionUser, Home: tmp,
	}
	var claim *flock.Lock
	if p.User, claim, err = c.claim(work, l.User.Active); err != nil {
		return nil, nil, err
	}
	ended = func() { letGo(claim) }
	if err := giveTo(work, p.User); err != nil {
		ended()
		return nil, nil, fmt.Errorf("give the catalog's folder to its user: %w", err)
	}
	if p.User != 0 {
		p.Processes = c.flags.MaxProcesses
	}
	p.View = c.view.AndRead(e.Needs()...).AndWrite(work)
	p.View.Tmp = tmp
	return p, ended, nil
}

// giveTo makes everything in a folder, in which nobody works, a user's; 0 leaves it as it is.
func giveTo(folder string, user int) error {
	if user == 0 {
		return nil
	}
	return filepath.WalkDir(folder, func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return os.Lchown(path, user, user)
	})
}

// catalogState tells how the catalog is.
func (s *server) catalogState() catalogState {
	if s.catalog == nil {
		return catalogState{Address: s.cfg.Catalog}
	}
	state, err := s.catalog.State()
	if err != nil {
		return catalogState{Address: "thrift://" + s.catalog.Addr(), Error: err.Error()}
	}
	return catalogState{Address: "thrift://" + s.catalog.Addr(), Detail: state}
}

// A catalogState is what doctor learns of the catalog; Address may be catalogOff.
type catalogState struct {
	Address string `json:"address"`
	Detail  string `json:"detail,omitempty"`
	Error   string `json:"error,omitempty"`
}

// finding is the state in doctor's words.
func (c catalogState) finding() finding {
	f := finding{Name: "catalog", OK: c.Error == "", Detail: "one for all sessions, " + c.Address}
	switch {
	case c.Address == catalogOff:
		f.Detail = "off: each session has its own, in memory"
	case !f.OK:
		f.Detail += ": " + c.Error
		f.Advice = "look into metastore/metastore.log in the data folder"
	case c.Detail != "":
		f.Detail += ": " + c.Detail
	}
	return f
}
