package main

import (
	"context"
	"os"

	"github.com/ergane-dev/ergane/internal/engine"
	"github.com/ergane-dev/ergane/internal/host"
)

type setupCmd struct {
	dirs
	Formats []string `help:"Table formats whose jars are to be installed, too: iceberg, delta, hudi. Others are when a session first needs them." enum:"iceberg,delta,hudi" placeholder:"NAME,..."`
}

// Help is the long help text.
func (setupCmd) Help() string {
	return "Where to download from is the configuration of pip (pip.conf, PIP_INDEX_URL) and Ivy; what to download stands, with checksums, in the lock files of the binary. " +
		"ERGANE_PYTHON and ERGANE_JAVA name the programs to use."
}

// Run installs the default engine; it goes on where an earlier setup stopped.
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
	got, err := engine.Install(ctx, engine.Options{Dir: c.EngineDir, Spec: spec, KernelFS: source, Progress: func(p engine.Progress) {
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
