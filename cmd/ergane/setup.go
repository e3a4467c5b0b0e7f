package main

import (
	"context"
	"os"

	"github.com/ergane-dev/ergane/internal/engine"
	"github.com/ergane-dev/ergane/internal/host"
)

type setupCmd struct {
	dirs
	Formats []string `help:"Table formats whose jars are installed now, too: iceberg, delta, hudi. Other jars are installed when a session first needs them." enum:"iceberg,delta,hudi" placeholder:"NAME,..."`
}

// Help is the long help text.
func (setupCmd) Help() string {
	return "The configuration of pip (pip.conf, PIP_INDEX_URL) and Ivy says where to download from; the binary has what to download, with checksums. " +
		"ERGANE_PYTHON and ERGANE_JAVA name the programs to use."
}

// Run installs the default engine; it continues where an earlier setup stopped.
func (c *setupCmd) Run(ctx context.Context) error {
	if err := c.resolve(); err != nil {
		return err
	}
	table, err := engine.DefaultTable()
	if err != nil {
		return err
	}
	source, err := host.KernelSource()
	if err != nil {
		return err
	}
	say := newSpeaker(os.Stderr)
	spec, _, err := table.Resolve(engine.Auto)
	if err != nil {
		return err
	}
	got, err := engine.Install(ctx, engine.Options{Dir: c.EngineDir, Spec: spec, KernelFS: source, Programs: environment().programs(), Progress: func(p engine.Progress) {
		say.progress(p.Words())
	}})
	for _, name := range c.Formats {
		if err != nil {
			break
		}
		err = got.InstallFormat(ctx, name, func(p engine.Progress) { say.progress(p.Words()) }, nil)
	}
	say.done()
	if err != nil {
		return interrupted(ctx, err)
	}
	say.say("%s is ready in %s (Python %s, Java %s)", spec.ID(), got.Dir(), got.PythonVersion(), got.JavaVersion())
	return nil
}
