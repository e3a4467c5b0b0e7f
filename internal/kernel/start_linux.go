package kernel

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/ergane-dev/ergane/internal/child"
	"github.com/ergane-dev/ergane/internal/durable"
	"github.com/ergane-dev/ergane/internal/flock"
	"github.com/ergane-dev/ergane/internal/sandbox"
)

// A Spec is everything that is needed to start a kernel.
type Spec struct {
	// Dir is the session's folder, sessions/<sid>; its last element is the
	// session's id. Start makes it; a folder in which a kernel was started before is refused.
	Dir  string
	Argv []string // of the kernel, the program's absolute path first
	Env  []string // of the kernel, complete; it is readable in /proc, so it holds no secret
	Boot Boot
	// Token authorizes a connection to the kernel: 64 hexadecimal digits.
	Token string
	// DeadMan is how long the kernel lives without a server; 0: forever.
	DeadMan time.Duration
	// ServerLock is the lock file by which the shim knows that a server is there.
	ServerLock string
	// Shim is the command that calls ShimMain; this program with the argument "shim" where it is empty.
	Shim []string
	// Ahead starts the kernel before there is a session for it; nil: it has a session.
	Ahead *Ahead
	// Sandbox confines the kernel to its session; nil: no sandbox.
	Sandbox *sandbox.Policy
	// Descriptors are the kernel's limits.
	Descriptors Descriptors
	// Claim is the claim on the sandbox's user, which the shim shares from its
	// start to its end; nil if there is none.
	Claim *flock.Lock
	// Log is for what happens in the background; nil: nothing is logged.
	Log *slog.Logger
}

// Boot is what a kernel is told at its start; it is never written to disk.
type Boot struct {
	// Env is put into the environment by the kernel itself, so that it is not in /proc/<pid>/environ.
	Env map[string]string
	// Java starts the Spark driver; nil is a kernel without Spark.
	Java *Java
	// Spark is the configuration of the Spark context.
	Spark map[string]string
	// Facts are what the kernel has to know about its session.
	Facts Facts
}

// Facts of a session, as it was when it started; nil Pip is a session without %pip. The session's id is the folder's name.
type Facts struct {
	WorkGroup     string    `json:"workgroup,omitzero"`
	EngineVersion string    `json:"engine_version,omitzero"`
	NotebookID    string    `json:"notebook,omitzero"`
	StartedAt     time.Time `json:"-"`
	Pip           *Pip      `json:"pip,omitempty"`
}

// Pip lets the session's code install packages. It is the text of two files of
// pip's configuration, of which the second wins; they may hold passwords.
type Pip struct {
	Config   string `json:"config,omitzero"`
	Settings string `json:"settings,omitzero"`
}

type factsDocument struct {
	Facts
	Started float64 `json:"started,omitzero"` // epoch seconds
}

func (f Facts) document() factsDocument {
	d := factsDocument{Facts: f}
	if !f.StartedAt.IsZero() {
		d.Started = float64(f.StartedAt.UnixMilli()) / 1e3
	}
	return d
}

// Java is the command of the Spark driver's process.
type Java struct {
	Argv []string
	Env  map[string]string // added to the kernel's own
}

// A bootDocument is everything that a kernel is told before it does anything.
type bootDocument struct {
	V       int               `json:"v"`
	Token   string            `json:"token"`
	Session string            `json:"session"`
	Dir     string            `json:"dir"`
	Env     map[string]string `json:"env,omitzero"`
	Java    *bootJava         `json:"java,omitzero"`
	Spark   map[string]string `json:"spark,omitzero"`
	Facts   factsDocument     `json:"facts,omitzero"`
	Ahead   *bootAhead        `json:"ahead,omitzero"`
}

type bootJava struct {
	Argv []string          `json:"argv"`
	Env  map[string]string `json:"env"`
}

type bootAhead struct {
	Store   string `json:"store"`
	Catalog bool   `json:"catalog,omitzero"`
}

func (b Boot) document(dir, token string, ahead *Ahead) ([]byte, error) {
	var wait *bootAhead
	if ahead != nil {
		wait = &bootAhead{ahead.Store, ahead.Catalog}
	}
	return json.Marshal(bootDocument{
		protocolVersion, token, sessionOf(dir), filepath.Join(dir, workFolder), b.Env, (*bootJava)(b.Java), b.Spark, b.Facts.document(), wait,
	})
}

// Start starts a kernel and returns when it is recorded and answers; Ready waits
// for Spark. The kernel lives on after the end of ctx and of this process. After
// an error nothing of it runs, and the folder's lock is free.
func Start(ctx context.Context, s Spec) (*Kernel, error) {
	k, err := start(ctx, s)
	if err != nil {
		return nil, fmt.Errorf("start kernel: %w", err)
	}
	return k, nil
}

func start(ctx context.Context, s Spec) (_ *Kernel, err error) {
	dir, err := makeFolder(s.Dir)
	if err != nil {
		return nil, err
	}
	if _, err := os.Lstat(filepath.Join(dir, handleFile)); !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("a kernel was started in %s before", dir)
	}
	if s.Sandbox != nil && s.Sandbox.User != 0 {
		if err := giveFolder(dir, s.Sandbox.User); err != nil {
			return nil, err
		}
	}
	root, spool, err := openFolder(dir)
	if err != nil {
		return nil, err
	}
	var k *Kernel
	defer func() {
		if k == nil {
			root.Close()
			spool.Close()
		}
	}()
	// Taken here and passed on, so that a server that finds neither lock nor
	// handle knows that no shim is being started.
	lock, err := flock.Acquire(filepath.Join(dir, lockFile))
	if err != nil {
		return nil, err
	}
	defer func() {
		if err == nil {
			lock.File().Close() // the shim has it
			return
		}
		// Not only closed: every process that is being started here has a copy until its exec.
		lock.Release()
	}()
	e, err := takeEpochs(root)
	if err != nil {
		return nil, err
	}
	if s.Ahead != nil {
		if err := s.Ahead.record(root); err != nil {
			return nil, err
		}
	}
	shim, h, err := launch(ctx, s, dir, root, lock)
	if err != nil {
		return nil, errors.Join(err, killGroup(context.Background(), root))
	}
	proc, err := child.Open(h.kernel())
	if errors.Is(err, child.ErrGone) { // it has ended already: its shim will say how
		defer shim.Close()
		return nil, whyGone(spool, settle(context.Background(), dir, root, h, shim))
	}
	if err != nil {
		stopShim(shim)
		return nil, err
	}
	k = attach(dir, h, root, spool, proc, shim, e, s.Token, logger(s.Log, dir))
	select {
	case <-k.link.greeted:
		return k, nil
	case <-k.done:
		err = whyGone(spool, k.exit)
	case <-ctx.Done():
		proc.Signal(syscall.SIGKILL)
		<-k.done
		err = context.Cause(ctx)
	}
	k.Detach()
	return nil, err
}

func logger(log *slog.Logger, dir string) *slog.Logger {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return log.With("session", sessionOf(dir))
}

// makeFolder makes the folder and returns its path without links.
func makeFolder(dir string) (string, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", err
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		return "", err
	}
	if dir, err = filepath.EvalSymlinks(dir); err != nil {
		return "", err
	}
	for _, sub := range []string{"calc", "tmp", "java"} {
		if err := os.MkdirAll(filepath.Join(dir, workFolder, sub), 0o700); err != nil {
			return "", err
		}
	}
	return dir, syncAbove(dir)
}

// syncAbove makes the directory entries of a session's folder and of the folder
// above it durable: the files of a kernel have to be found after a loss of power.
func syncAbove(dir string) error {
	for range 2 {
		dir = filepath.Dir(dir)
		if err := durable.SyncFolder(dir); err != nil {
			return err
		}
	}
	return nil
}

// launch starts the shim and returns it once the kernel is recorded.
func launch(ctx context.Context, s Spec, dir string, root *os.Root, lock *flock.Lock) (_ *child.Process, _ Handle, err error) {
	boot, err := s.Boot.document(dir, s.Token, s.Ahead)
	if err != nil {
		return nil, Handle{}, err
	}
	claim, claimed := "", (*os.File)(nil) // a descriptor that is closed
	if s.Claim != nil {
		claimed = s.Claim.File()
		claim = claimed.Name()
	}
	doc, err := json.Marshal(shimInput{
		V: protocolVersion, Dir: dir, Argv: s.Argv, Env: append(s.Env[:len(s.Env):len(s.Env)], sessionVariable+"="+sessionOf(dir)),
		DeadManSeconds: s.DeadMan.Seconds(), ServerLock: s.ServerLock, Boot: boot, Sandbox: s.Sandbox, Claim: claim, Yield: s.Ahead != nil,
		Descriptors: s.Descriptors,
	})
	if err != nil {
		return nil, Handle{}, err
	}
	input, err := child.MemoryFile("shim", doc)
	if err != nil {
		return nil, Handle{}, err
	}
	defer input.Close()
	spawned, err := root.OpenFile(spawnLog, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return nil, Handle{}, err
	}
	defer spawned.Close()
	report, reportEnd, err := os.Pipe()
	if err != nil {
		return nil, Handle{}, err
	}
	defer report.Close()
	defer reportEnd.Close()

	argv := s.Shim
	if len(argv) == 0 {
		self, err := os.Executable()
		if err != nil {
			return nil, Handle{}, err
		}
		argv = []string{self, "shim"}
	}
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Dir = "/"
	cmd.Env = append(crashEnv(), "GOMAXPROCS=1", "GOGC=20") // to keep it small
	cmd.Stdout, cmd.Stderr = spawned, spawned
	cmd.ExtraFiles = []*os.File{input, reportEnd, lock.File(), claimed}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return nil, Handle{}, fmt.Errorf("start shim: %w", err)
	}
	reportEnd.Close()
	shim, err := child.OpenPID(cmd.Process.Pid) // not reaped, so the pid is not reused
	if err != nil {
		cmd.Process.Kill()
		cmd.Wait()
		return nil, Handle{}, err
	}
	cmd.Process.Release()

	stop := context.AfterFunc(ctx, func() { report.SetReadDeadline(time.Unix(1, 0)) })
	defer stop()
	h, err := reported(report, root)
	if err == nil {
		return shim, h, nil
	}
	if ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	stopShim(shim)
	return nil, Handle{}, err
}

// reported waits for the shim's one line.
func reported(report io.Reader, root *os.Root) (Handle, error) {
	line, err := bufio.NewReader(io.LimitReader(report, 4<<10)).ReadString('\n')
	switch line = strings.TrimSpace(line); {
	case line == startedReport:
		return readDocument(root, handleFile, parseHandle)
	case line != "":
		return Handle{}, errors.New(line)
	}
	return Handle{}, fmt.Errorf("the shim says nothing: %w", err)
}

// stopShim ends a shim whose kernel is not known; the kernel ends with it.
func stopShim(shim *child.Process) {
	defer shim.Close()
	shim.Signal(syscall.SIGTERM)
	shim.WaitOrKill(context.Background(), settleLimit)
	shim.Reap()
}
