package sandbox

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/ergane-dev/ergane/internal/flock"
)

// A Setup is what Detect tries the layers with.
type Setup struct {
	Stage   []string // as in a Policy
	DataDir string   // must not be visible in the sandbox
	View    View     // without a session's own folders
	Users   Users
	Need    []string // files that must be readable in the sandbox
	// Expected are layers that should work: each is tried several times before it
	// counts as not working.
	Expected []string
	// Again is called before each further try; it may be nil.
	Again func(missing []string, l Layers)
}

const (
	notRoot = "the server does not run as root"
	noProc  = "it needs the layer mounts, for a /proc of its own"
	noNames = "it needs the layer mounts, for the user's name and a path to its folder"
)

// probeLimit bounds one try.
const probeLimit = 20 * time.Second

// Detect finds out which layers work: it starts processes with them that try what
// user code must not be able to do.
func Detect(ctx context.Context, s Setup) (Layers, error) {
	sweep(s.DataDir)
	dir, err := os.MkdirTemp(s.DataDir, trialFolders)
	if err != nil {
		return Layers{}, fmt.Errorf("try the sandbox: %w", err)
	}
	defer os.RemoveAll(dir)
	lock, err := flock.Acquire(filepath.Join(dir, trialLock))
	if err != nil {
		return Layers{}, fmt.Errorf("try the sandbox: %w", err)
	}
	defer lock.Release()
	t := trial{Setup: s, dir: dir}
	if err := t.prepare(); err != nil {
		return Layers{}, fmt.Errorf("try the sandbox: %w", err)
	}
	return t.repeat(ctx), ctx.Err()
}

type trial struct {
	Setup
	dir string
}

func (t *trial) canary() string { return filepath.Join(t.dir, "secret") }
func (t *trial) work() string   { return filepath.Join(t.dir, "work") }

func (t *trial) prepare() error {
	if err := os.MkdirAll(filepath.Join(t.work(), "tmp"), 0o700); err != nil {
		return err
	}
	return os.WriteFile(t.canary(), []byte("secret\n"), 0o600)
}

func (t *trial) run(ctx context.Context) Layers {
	root := os.Geteuid() == 0
	l := Layers{ABI: landlockABI()}
	// Landlock alone, because mounts would hide a failure of it.
	if l.Landlock.Why = noLandlock(l.ABI); l.Landlock.Why == "" {
		l.Landlock = layer(t.try(ctx, 0, layersOn{landlock: true}))
	}
	user := 0
	if root {
		user = t.Users.Last
	}
	on := layersOn{mounts: true, landlock: l.Landlock.Active}
	err := t.try(ctx, user, on)
	l.Mounts, l.User = layer(err), layer(err)
	switch {
	case !root:
		l.User = Layer{Why: notRoot}
	case err != nil: // perhaps because of the user
		if l.Mounts = layer(t.try(ctx, 0, on)); !l.Mounts.Active {
			l.User.Why = noNames // transient is kept: another try may help
		}
	}
	if !l.User.Active {
		user = 0
	}
	if l.Pids.Why = noProc; l.Mounts.Active {
		on.pids = true
		l.Pids = layer(t.try(ctx, user, on))
	}
	l.groups, err = findGroups()
	if err == nil {
		err = t.tryGroup(ctx, l.groups)
	}
	l.Group = layer(err)
	return l
}

// tryGroup tries to put a process into a group with limits.
func (t *trial) tryGroup(ctx context.Context, groups Groups) (err error) {
	ctx, cancel := context.WithTimeout(ctx, probeLimit)
	defer cancel()
	const memory = 256 << 20
	g := groups.group(groupPrefix+"probe-"+strconv.Itoa(os.Getpid()), filepath.Base(t.dir))
	g.Memory, g.Total, g.Processes = memory, memory, 256
	if err := t.record(g); err != nil {
		return err
	}
	if err := g.Make(); err != nil {
		return fmt.Errorf("make a control group: %w", err)
	}
	defer func() {
		if left := g.Remove(); left != nil && err == nil {
			err = fmt.Errorf("remove a control group: %w", left)
		}
	}()
	if !g.limited(memory) {
		return errors.New("a control group accepts no memory limit")
	}
	found, err := Policy{Stage: t.Stage, Dir: t.dir, Group: g, Probe: &Probe{Secret: t.canary(), Stranger: os.Getpid()}}.run(ctx)
	if err == nil && g.memberships(found.Groups) != len(g.Dirs) {
		err = errors.New("the process did not enter its control group")
	}
	return err
}

// layersOn are the layers of a process that is started.
type layersOn struct{ mounts, landlock, pids bool }

// try starts a process with some layers; it fails if one cannot be applied or does
// not protect. The user 0 means the server's own.
func (t *trial) try(ctx context.Context, user int, on layersOn) error {
	ctx, cancel := context.WithTimeout(ctx, probeLimit)
	defer cancel()
	p := Policy{
		Stage: t.Stage, Dir: filepath.Join(t.work(), "tmp"), User: user, Mounts: on.mounts, Landlock: on.landlock, Pids: on.pids,
		View: t.View.AndWrite(t.work()), Name: "ergane", Home: t.work(),
		Probe: &Probe{Secret: t.canary(), Stranger: os.Getpid(), Need: t.Need},
	}
	p.View.Tmp = p.Dir
	if os.Geteuid() == 0 {
		for _, dir := range []string{t.work(), p.Dir} {
			if err := os.Lchown(dir, user, user); err != nil {
				return fmt.Errorf("make user %d the owner of a folder: %w", user, err)
			}
		}
	}
	found, err := p.run(ctx)
	if err != nil {
		return err
	}
	switch {
	case user != 0 && found.User != user:
		return fmt.Errorf("the process became user %d", found.User)
	case on.mounts && found.Secret != notThere:
		return errors.New("the process could see into the data folder")
	case on.landlock && found.Secret == readable:
		return errors.New("the process could read the data folder")
	case on.landlock && landlockABI() >= abiScopes && !on.pids && found.Signal: // with pids, the PID is another process
		return errors.New("the process could send signals to the server")
	case on.pids && found.Processes != 2: // the first one and itself
		return fmt.Errorf("the process could see %d processes", found.Processes)
	case len(found.Unreadable) > 0:
		return fmt.Errorf("the process could not read %s; is the engine readable for all users?", found.Unreadable[0])
	}
	return nil
}

// run starts the stage as the shim does.
func (p Policy) run(ctx context.Context) (report, error) {
	doc, err := p.Document(os.Getpid())
	if err != nil {
		return report{}, err
	}
	read, write, err := os.Pipe()
	if err != nil {
		return report{}, err
	}
	defer read.Close()
	go func() {
		defer write.Close()
		write.Write(doc) // fails if the child ended, which reports why
	}()
	cmd := exec.CommandContext(ctx, p.Stage[0], p.Stage[1:]...)
	cmd.Env = []string{}
	cmd.SysProcAttr = p.Attr()
	cmd.SysProcAttr.Pdeathsig = 0 // it follows a thread, and ours may end
	var out, words bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &words
	null, err := os.Open(os.DevNull)
	if err != nil {
		return report{}, err
	}
	defer null.Close()
	cmd.ExtraFiles = []*os.File{null, null, read, null} // 3, 4, policyFD, ReportFD
	if err := cmd.Run(); err != nil {
		if ctx.Err() != nil {
			return report{}, fmt.Errorf("%w: the probe did not end within %s", errTransient, probeLimit)
		}
		said := strings.TrimSpace(words.String())
		if said == "" {
			said = err.Error() // the system's error for the namespaces
		}
		if isTransient(err) {
			return report{}, fmt.Errorf("%w: %s", errTransient, said)
		}
		return report{}, errors.New(said)
	}
	var r report
	if err := json.Unmarshal(out.Bytes(), &r); err != nil {
		return r, fmt.Errorf("read what the probe found: %w", err)
	}
	return r, nil
}
