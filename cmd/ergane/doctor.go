package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"github.com/ergane-dev/ergane/internal/engine"
	"github.com/ergane-dev/ergane/internal/flock"
)

type doctorCmd struct {
	dirs
	JSON bool `name:"json" help:"Print the findings as a JSON list."`
}

// A finding is one thing that was looked at.
type finding struct {
	Name   string `json:"name"`
	OK     bool   `json:"ok"`
	Detail string `json:"detail"`
	Advice string `json:"advice,omitzero"` // what to do where it is not OK
}

// Run looks at everything and changes nothing. It exits 1 if something does
// not work; layers of safety that are missing are told, but do not count.
func (c *doctorCmd) Run(ctx context.Context) error {
	if err := c.resolve(); err != nil {
		return err
	}
	findings := append(c.folders(), c.engine(ctx)...)
	findings = append(findings, c.server(ctx)...)
	safety := c.safety()
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
	if err := makeDataDir(c.DataDir); err != nil {
		return []finding{{Name: "data folder", Detail: err.Error(), Advice: "name a folder that can be written with --data-dir"}}
	}
	disk := finding{Name: "disk", OK: true}
	var st unix.Statfs_t
	if err := unix.Statfs(c.DataDir, &st); err != nil {
		disk.OK, disk.Detail = false, err.Error()
		return []finding{f, disk}
	}
	free := int64(st.Bavail) * int64(st.Bsize)
	disk.Detail = size(free) + " free"
	if free < enoughDisk {
		disk.OK, disk.Advice = false, "free some space: an engine takes 1 GB, results come on top"
	}
	return []finding{f, disk}
}

func (c *doctorCmd) engine(ctx context.Context) []finding {
	e, err := newEngines(c.EngineDir, nil)
	if err != nil {
		return []finding{{Name: "engine", Detail: err.Error()}}
	}
	spec, _, err := e.table.Resolve(engine.Auto)
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
	running, err := flock.Held(lockPath(c.DataDir))
	if err != nil {
		return []finding{{Name: "server", Detail: err.Error()}}
	}
	info, ok, err := readServerInfo(c.DataDir)
	if err != nil || !running || !ok {
		return []finding{{Name: "server", OK: true, Detail: "none runs on this data folder; ergane run brings its own"}}
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
	}
	return []finding{f}
}

// safety tells which layers stand between user code and this machine.
func (c *doctorCmd) safety() []finding {
	return []finding{
		{Name: "loopback", OK: true, Detail: "the API and S3 listen on this machine alone, unless serve is told otherwise"},
		{Name: "signatures", OK: true, Detail: "every request is verified (SigV4); there is no anonymous access"},
		{Name: "session keys", OK: true, Detail: "each session has a key pair of its own, which ends with it; until then it reaches every bucket of the embedded S3"},
		{Name: "sandbox", Detail: "none: code in a session runs as this user and can read this user's files, the keys of the data folder included",
			Advice: "run only code that you would run yourself, or run Ergane as a user of its own"},
	}
}
