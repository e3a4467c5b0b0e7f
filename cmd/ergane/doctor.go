package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"strings"
	"time"

	"github.com/ergane-dev/ergane/internal/datadir"
	"github.com/ergane-dev/ergane/internal/durable"
	"github.com/ergane-dev/ergane/internal/engine"
	"github.com/ergane-dev/ergane/internal/flock"
	"github.com/ergane-dev/ergane/internal/host"
	"github.com/ergane-dev/ergane/internal/sandbox"
	"github.com/ergane-dev/ergane/internal/server"
	"github.com/ergane-dev/ergane/internal/store"
	"github.com/ergane-dev/ergane/internal/words"
)

type doctorCmd struct {
	dirs
	host.SandboxFlags
	JSON bool `name:"json" help:"Print the findings as a JSON list."`
}

// A finding is the result of one check.
type finding struct {
	Name   string `json:"name"`
	OK     bool   `json:"ok"`
	Detail string `json:"detail"`
	Advice string `json:"advice,omitzero"` // what to do if it is not OK
}

// Run checks everything and changes nothing. It exits 1 if something does not
// work; missing layers of safety are shown, but do not count.
func (c *doctorCmd) Run(ctx context.Context) error {
	if err := c.resolve(); err != nil {
		return err
	}
	findings := append(c.folders(), c.engine(ctx)...)
	findings = append(findings, c.server(ctx)...)
	findings = append(findings, c.database(ctx)...)
	findings = append(findings, c.descriptors())
	safety := c.safety(ctx)
	if c.JSON {
		out := json.NewEncoder(os.Stdout)
		out.SetIndent("", "  ")
		if err := out.Encode(append(findings, safety...)); err != nil {
			return err
		}
	} else {
		for _, f := range append(findings, safety...) {
			mark := "ok"
			if !f.OK {
				mark = "--"
			}
			fmt.Printf("%s  %-20s %s\n", mark, f.Name, f.Detail)
			if f.Advice != "" {
				fmt.Printf("    %-20s → %s\n", "", f.Advice)
			}
		}
	}
	for _, f := range findings {
		if !f.OK {
			return exitCode(1)
		}
	}
	return nil
}

// enoughDisk is what an engine and some results take, in bytes.
const enoughDisk = 3 << 30

func (c *doctorCmd) folders() []finding {
	f := finding{Name: "data folder", OK: true, Detail: c.DataDir}
	if err := datadir.Make(c.DataDir); err != nil {
		return []finding{{Name: "data folder", Detail: err.Error(), Advice: "name a folder that can be written with --data-dir"}}
	}
	disk := finding{Name: "disk", OK: true}
	free, err := durable.Free(c.DataDir)
	if err != nil {
		disk.OK, disk.Detail = false, err.Error()
		return []finding{f, disk}
	}
	disk.Detail = words.Bytes(free) + " free"
	if free < enoughDisk {
		disk.OK, disk.Advice = false, "free some space: an engine takes 1 GB, results come on top"
	}
	return []finding{f, disk}
}

func (c *doctorCmd) engine(ctx context.Context) []finding {
	table, err := engine.DefaultTable()
	if err != nil {
		return []finding{{Name: "engine", Detail: err.Error()}}
	}
	spec, _, err := table.Resolve(engine.Auto)
	if err != nil {
		return []finding{{Name: "engine", Detail: err.Error()}}
	}
	got, err := engine.Open(c.EngineDir, spec)
	if errors.Is(err, engine.ErrNotInstalled) {
		return []finding{{Name: "engine", Detail: spec.Name + " is not installed in " + c.EngineDir, Advice: "run: ergane setup"}}
	}
	if err != nil {
		return []finding{{Name: "engine", Detail: err.Error(), Advice: "run: ergane setup"}}
	}
	var all []finding
	for _, f := range got.Check(ctx) {
		all = append(all, finding(f))
	}
	return all
}

func (c *doctorCmd) server(ctx context.Context) []finding {
	running, err := flock.Held(datadir.Lock(c.DataDir))
	if err != nil {
		return []finding{{Name: "server", Detail: err.Error()}}
	}
	info, ok, err := datadir.ReadServer(c.DataDir)
	if err != nil || !running || !ok {
		return []finding{{Name: "server", OK: true, Detail: "none runs on this data folder; ergane run starts one when it needs it"}}
	}
	f := finding{Name: "server", OK: true, Detail: fmt.Sprintf("process %d, API %s, S3 %s, Spark on %s", info.PID, info.API, info.S3, info.Master)}
	ready, err := askReady(ctx, info)
	switch {
	case err != nil:
		f.OK, f.Detail, f.Advice = false, f.Detail+": "+err.Error(), "look into its log, or restart it"
	case ready.Error != "":
		f.OK, f.Detail = false, f.Detail+": "+ready.Error
	case !ready.Ready:
		f.Detail += ": " + ready.What + " " + ready.Detail
	case ready.Waiting+ready.Warming > 0:
		f.Detail += fmt.Sprintf("; %d kernels wait for a session, %d more are being started ahead", ready.Waiting, ready.Warming)
	default:
		f.Detail += "; no kernel waits for a session (serve --pool)"
	}
	if ready.Catalog != nil {
		return []finding{f, catalogFinding(*ready.Catalog)}
	}
	return []finding{f}
}

// database shows how large the database is, how fast it grows, and what removes old rows.
func (c *doctorCmd) database(ctx context.Context) []finding {
	u, err := store.Measure(ctx, datadir.Database(c.DataDir), time.Now())
	if errors.Is(err, fs.ErrNotExist) {
		return nil // no server has run yet
	}
	f := finding{Name: "database", OK: true}
	if err != nil {
		f.OK, f.Detail, f.Advice = false, err.Error(), "if this stays, look into the log of the server"
		return []finding{f}
	}
	f.Detail = fmt.Sprintf("%s; %d calculations of %d sessions", words.Bytes(u.Bytes), u.Calculations, u.Sessions)
	if u.PerDay > 0 {
		f.Detail += fmt.Sprintf("; about %s were added per day in the last %.0f days", words.Bytes(u.PerDay), math.Ceil(u.Days))
	}
	if info, ok, err := datadir.ReadServer(c.DataDir); err == nil && ok && info.Keep != "" {
		f.Detail += "; " + info.Keep
	}
	if !u.Shrinks {
		f.Detail += "; the file does not shrink when sessions are removed: stop the server and run ergane compact"
	}
	return []finding{f}
}

// safety shows which layers stand between user code and this machine.
func (c *doctorCmd) safety(ctx context.Context) []finding {
	all := []finding{
		{Name: "loopback", OK: true, Detail: "the API and S3 listen only on this machine, unless flags of serve say otherwise"},
		{Name: "signatures", OK: true, Detail: "every request is verified (SigV4); there is no anonymous access"},
	}
	info, runs, _ := datadir.ReadServer(c.DataDir) // without a server: the defaults
	all = append(all, sessionKeys(info)...)
	if runs {
		if ready, err := askReady(ctx, info); err == nil && ready.Sandbox != nil {
			all = append(all, protectionFinding(*ready.Sandbox))
		}
	}
	return append(all, c.sandbox(ctx)...)
}

// sessionKeys shows what the keys of sessions may do.
func sessionKeys(info datadir.Server) []finding {
	own := finding{Name: "session keys", OK: true, Detail: "each session has a key pair of its own, which ends with it and is good for no other session; until then it reaches every bucket of the embedded S3"}
	if info.ExternalS3 {
		own.Detail = "sessions have a key of the external store that the API does not take"
	}
	var wide []finding
	for _, d := range info.WideKeys.Dangers() {
		wide = append(wide, finding{Name: "session keys", Detail: d.Detail, Advice: d.Advice})
	}
	if info.WideKeys.Results {
		return wide
	}
	return append([]finding{own}, wide...)
}

// sandbox tries the layers that serve would put around sessions with the same flags.
func (c *doctorCmd) sandbox(ctx context.Context) []finding {
	if c.Sandbox == host.SandboxOff {
		return []finding{{Name: "sandbox", Detail: "off: code in a session runs as the server's user and can read that user's files, the keys of the data folder included",
			Advice: "leave out --sandbox off, or run only code that you would run yourself"}}
	}
	l, refusal, err := host.TryLayers(ctx, c.SandboxFlags, c.DataDir, limitFlags{}.live().Memory, c.installed())
	if err != nil {
		return []finding{{Name: "sandbox", Detail: err.Error()}}
	}
	if info, ok, err := datadir.ReadServer(c.DataDir); err == nil && ok && info.Group != (sandbox.Layer{}) {
		l.Group = info.Group
	}
	landlock := fmt.Sprintf("active (version %d): sessions reach only their own files, abstract sockets and processes", l.ABI)
	if !l.Scopes() {
		landlock = fmt.Sprintf("active (version %d): sessions reach only their own files; signals are blocked from version 6 on (Linux 6.12)", l.ABI)
	}
	all := []finding{
		layerFinding("sandbox: user", l.User, fmt.Sprintf("active: each session runs as a user of its own, from the range %v", c.SessionUsers),
			"run the server as root; then each session gets a user of its own"),
		layerFinding("sandbox: mounts", l.Mounts, "active: sessions see the system, the engine and their own folder, and a /tmp of their own",
			"run the server as root, or allow user namespaces to its user"),
		layerFinding("sandbox: Landlock", l.Landlock, landlock, "turn Landlock on in the kernel (lsm=landlock,…)"),
		layerFinding("sandbox: pids", l.Pids, "active: sessions see and reach only their own processes",
			"run the server as root, or where no part of /proc is covered (most containers cover some)"),
		layerFinding("sandbox: group", l.Group, c.groupDetail(),
			"start the server where it may make control groups: see docs/ergane.service, or give its container a /sys/fs/cgroup that can be written"),
	}
	if refusal != nil {
		all = append(all, finding{Name: "sandbox", Detail: "serve would not start with these flags: " + refusal.Error()})
	}
	return all
}

// groupDetail describes the control group of a session of the default size.
func (c *doctorCmd) groupDetail() string {
	limit := engine.MemoryLimit(engine.Memory(nil, engine.Master{}, 0), engine.Master{})
	if most := (limitFlags{}).live().Memory; most > 0 {
		limit = min(limit, most)
	}
	detail := fmt.Sprintf("active: each session has a control group; one of the default size has at most %d MiB of memory", limit>>20)
	if c.MaxProcesses > 0 {
		detail += fmt.Sprintf(" and %d processes", c.MaxProcesses)
	}
	return detail
}

// installed is the engine that sessions get; nil where none is installed.
func (c *doctorCmd) installed() *engine.Engine {
	table, err := engine.DefaultTable()
	if err != nil {
		return nil
	}
	spec, _, err := table.Resolve(engine.Auto)
	if err != nil {
		return nil
	}
	got, err := engine.Open(c.EngineDir, spec)
	if err != nil {
		return nil
	}
	return got
}

func layerFinding(name string, l sandbox.Layer, active, advice string) finding {
	if l.Active {
		return finding{Name: name, OK: true, Detail: active}
	}
	return finding{Name: name, Detail: "not active: " + l.Why, Advice: advice}
}

// protectionFinding is the finding about the sandbox of the running server.
func protectionFinding(p server.Protection) finding {
	f := finding{Name: "server's sandbox", OK: !p.Less, Detail: "its sessions have every layer"}
	if f.OK {
		return f
	}
	var with, without []string
	for _, name := range sandbox.Names {
		if why := p.Layers[name]; why == host.LayerActive {
			with = append(with, name)
		} else {
			without = append(without, name+": "+why)
		}
	}
	f.Detail = "its sessions lack " + strings.Join(without, "; ")
	if len(with) > 0 {
		f.Detail += "; they have " + strings.Join(with, ", ")
	}
	f.Advice = "see below what each layer needs, then restart the server"
	return f
}

// catalogFinding is the finding about the catalog of the running server.
func catalogFinding(c server.CatalogState) finding {
	f := finding{Name: "catalog", OK: c.Error == "", Detail: "one for all sessions, " + c.Address}
	switch {
	case c.Address == host.CatalogOff:
		f.Detail = "off: each session has its own, in memory"
	case !f.OK:
		f.Detail += ": " + c.Error
		f.Advice = "look into metastore/metastore.log in the data folder"
	case c.Detail != "":
		f.Detail += ": " + c.Detail
	}
	return f
}
