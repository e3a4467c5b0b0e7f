package host

import (
	"context"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"github.com/ergane-dev/ergane"
	"github.com/ergane-dev/ergane/internal/datadir"
	"github.com/ergane-dev/ergane/internal/engine"
	"github.com/ergane-dev/ergane/internal/flock"
	"github.com/ergane-dev/ergane/internal/metastore"
	"github.com/ergane-dev/ergane/internal/sandbox"
)

// Values of --catalog that are not an address.
const (
	CatalogAuto = "auto"
	CatalogOff  = "off"
)

// CheckCatalog refuses an invalid value of --catalog.
func CheckCatalog(catalog string) error {
	if catalog == CatalogAuto || catalog == CatalogOff {
		return nil
	}
	for address := range strings.SplitSeq(catalog, ",") { // Hive accepts several, and uses one that answers
		u, err := url.Parse(address)
		if err != nil || u.Scheme != "thrift" || u.Port() == "" || u.Hostname() == "" || u.Path != "" {
			return fmt.Errorf("--catalog %s is neither %s nor %s nor of the form thrift://host:port", catalog, CatalogAuto, CatalogOff)
		}
	}
	return nil
}

// ShareCatalog makes sessions share the catalog at an address. server is nil if
// the catalog is not Ergane's own.
func (h *Host) ShareCatalog(address string, server *metastore.Server) {
	h.catalog, h.metastore = address, server
}

// catalogOf is the address of the catalog that a session uses, and of the folder
// for new databases; both are empty if the session has its own catalog.
func (h *Host) catalogOf(s ergane.Session) (address, warehouse string) {
	if h.catalog == "" {
		return "", ""
	}
	output := h.Results
	if i := strings.LastIndex(s.WorkingDirectory, "/session/"); i >= 0 {
		output = s.WorkingDirectory[:i]
	}
	return h.catalog, output + "/warehouse"
}

// warmUpCatalog reports whether a kernel that is started ahead also warms up its
// catalog. Ergane's own is not started for that before a session has used it.
func (h *Host) warmUpCatalog(like ergane.Session) bool {
	address, _ := h.catalogOf(like)
	return address == "" || h.metastore == nil || h.metastore.Running()
}

// MetastoreCommand is how the catalog's process is started.
func (h *Host) MetastoreCommand(ctx context.Context) (_ metastore.Command, err error) {
	e, err := h.Engines.wait(ctx, h.Engines.defaultVersion())
	if err != nil {
		return metastore.Command{}, err
	}
	work := filepath.Join(datadir.Catalog(h.DataDir), "work")
	tmp := filepath.Join(work, "tmp")
	if err := os.MkdirAll(tmp, 0o700); err != nil {
		return metastore.Command{}, fmt.Errorf("make the catalog's folder: %w", err)
	}
	argv, env, hadoop := e.MetastoreCommand(tmp, h.metastoreS3(), metastore.Options)
	run, err := metastore.Prepare(work, h.Results+"/warehouse", hadoop)
	if err != nil {
		return metastore.Command{}, err
	}
	c := metastore.Command{Argv: append(argv, run...), Env: env}
	if h.Confiner != nil {
		c.Sandbox, c.Ended, err = h.Confiner.catalogPolicy(ctx, work, tmp, e)
	}
	return c, err
}

// metastoreS3 is the S3 in which the catalog makes and removes folders, with its key.
func (h *Host) metastoreS3() engine.S3 {
	if h.External != nil {
		return h.External.engine()
	}
	key, info := h.Keys.Catalog(), h.Server()
	return engine.S3{Endpoint: info.S3, Region: info.Region, AccessKeyID: key.AccessKeyID, Secret: key.Secret}
}

// catalogPolicy is the sandbox of the catalog's process: every session can call
// it, so it may do no more than a session. Its folder gets its user as owner. ended
// must be called when the process has ended, or if it is not started.
func (c *Confiner) catalogPolicy(ctx context.Context, work, tmp string, e *engine.Engine) (_ *sandbox.Policy, ended func(), err error) {
	l, err := c.with(ctx, e)
	if err != nil {
		return nil, nil, err
	}
	p := &sandbox.Policy{
		Stage: []string{datadir.Self, "confine"}, Dir: tmp, Mounts: l.Mounts.Active, Landlock: l.Landlock.Active, Name: sessionUser, Home: tmp,
	}
	var claim *flock.Lock
	if p.User, claim, err = c.claim(work, l.User.Active); err != nil {
		return nil, nil, err
	}
	ended = func() { releaseClaim(claim) }
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

// giveTo makes a user the owner of a folder and all that is in it. No process may
// be using the folder. The user 0 leaves it as it is.
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
