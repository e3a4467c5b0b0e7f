package metastore

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ergane-dev/ergane/internal/child"
	"github.com/ergane-dev/ergane/internal/flock"
	"github.com/ergane-dev/ergane/internal/logfile"
	"github.com/ergane-dev/ergane/internal/sandbox"
)

const (
	lockName = "lock"
	logName  = "metastore.log"
	maxLog   = 1 << 20
	// endTimeout is how long a child may take to end by itself.
	endTimeout = 5 * time.Second
	// listening begins the line on the child's stdout with its port.
	listening = "listening "
)

// Command is how a child is started.
type Command struct {
	Argv []string
	Env  []string
	// Sandbox confines the child; nil: it is not confined.
	Sandbox *sandbox.Policy
	// Ended, if set, is called when the child has ended or could not be started.
	Ended func()
}

// A process is a running metastore. It ends when its stdin is closed, and is
// killed when the server ends, however that ends: none is ever left over.
type process struct {
	pid    int
	proc   *os.Process
	addr   string
	stdin  io.Closer
	exited chan struct{} // closed when it has ended
	state  *os.ProcessState
}

func (c *process) alive() bool {
	if c == nil {
		return false
	}
	select {
	case <-c.exited:
		return false
	default:
		return true
	}
}

// how says how the child ended. It must have ended.
func (c *process) how() string { return c.state.String() }

// end asks the child to end, kills it if it does not, and returns when it has ended.
func (c *process) end() {
	c.stdin.Close()
	select {
	case <-c.exited:
	case <-time.After(endTimeout):
		c.kill()
	}
}

func (c *process) kill() {
	_ = c.proc.Kill()
	<-c.exited
}

// startChild starts a child and returns when it answers. If that fails, nothing is
// left of it. It asks for the command when no other process uses the folder.
func startChild(ctx context.Context, dir string, ask func(context.Context) (Command, error)) (_ *process, err error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make the catalog's folder: %w", err)
	}
	// The child has the lock until it ends: two on one database would destroy it.
	lock, err := awaitLock(ctx, filepath.Join(dir, lockName))
	if err != nil {
		return nil, err
	}
	defer lock.File().Close() // the child's copy keeps the lock
	command, err := ask(ctx)
	if err != nil {
		return nil, err
	}
	ended, runs := func() {}, false
	if command.Ended != nil {
		ended = command.Ended
	}
	defer func() {
		if !runs {
			ended()
		}
	}()
	log, err := logfile.ForChild(filepath.Join(dir, logName), maxLog)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	stdin, feed, err := pipe()
	if err != nil {
		return nil, err
	}
	defer stdin.Close()
	said, stdout, err := pipe()
	if err != nil {
		feed.Close()
		return nil, err
	}
	defer stdout.Close()

	cmd := &exec.Cmd{Path: command.Argv[0], Args: command.Argv, Env: command.Env, Dir: dir, Stdin: stdin, Stdout: stdout, Stderr: log}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	cmd.ExtraFiles = []*os.File{lock.File()}
	if p := command.Sandbox; p != nil {
		policy, err := policyFile(p)
		if err != nil {
			feed.Close()
			said.Close()
			return nil, err
		}
		defer policy.Close()
		cmd.Args = p.Command(command.Argv)
		cmd.Path, cmd.SysProcAttr = cmd.Args[0], p.Attr()
		cmd.ExtraFiles = append(cmd.ExtraFiles, stdin, policy) // at 5, where the stage looks for it
	}
	c := &process{stdin: feed, exited: make(chan struct{})}
	if err := c.run(cmd, ended); err != nil {
		feed.Close()
		said.Close()
		return nil, fmt.Errorf("start the catalog: %w", err)
	}
	runs = true
	ready := make(chan string, 1)
	stdout.Close() // so that reading ends when the child does
	go func() {
		defer said.Close()
		ready <- port(said)
		_, _ = io.Copy(io.Discard, said)
	}()
	select {
	case p := <-ready:
		if p != "" {
			c.addr = net.JoinHostPort("127.0.0.1", p)
			return c, nil
		}
		c.stdin.Close()
		c.kill()
		return nil, fmt.Errorf("it ended before it answered (%s); see %s", c.how(), log.Name())
	case <-ctx.Done():
		c.stdin.Close()
		c.kill()
		return nil, fmt.Errorf("%w; see %s", context.Cause(ctx), log.Name())
	}
}

// run starts the process, in a goroutine that waits for its end and then calls
// ended. The goroutine keeps its thread: the child is killed when that ends.
func (c *process) run(cmd *exec.Cmd, ended func()) error {
	started := make(chan error)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		if err == nil {
			c.proc, c.pid = cmd.Process, cmd.Process.Pid
		}
		started <- err
		if err != nil {
			return
		}
		_ = cmd.Wait()
		c.state = cmd.ProcessState
		ended()
		close(c.exited)
	}()
	return <-started
}

// awaitLock takes the lock, as soon as the child of a server that was killed has ended.
func awaitLock(ctx context.Context, path string) (*flock.Lock, error) {
	for {
		lock, err := flock.Acquire(path)
		if !errors.Is(err, flock.ErrHeld) {
			return lock, err
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("another process has the catalog: %w", err)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// port reads the child's output up to its port; empty if it ended before that.
func port(r io.Reader) string {
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		if p, ok := strings.CutPrefix(lines.Text(), listening); ok {
			return p
		}
	}
	return ""
}

// pipe makes a pipe with blocking ends: Java needs that.
func pipe() (r, w *os.File, err error) {
	var ends [2]int
	if err := unix.Pipe2(ends[:], unix.O_CLOEXEC); err != nil {
		return nil, nil, fmt.Errorf("make a pipe: %w", err)
	}
	return os.NewFile(uintptr(ends[0]), "pipe"), os.NewFile(uintptr(ends[1]), "pipe"), nil
}

// policyFile is the file from which the sandbox's stage reads its policy.
func policyFile(p *sandbox.Policy) (*os.File, error) {
	doc, err := p.Document(os.Getpid())
	if err != nil {
		return nil, err
	}
	f, err := child.MemoryFile("policy", doc)
	if err != nil {
		return nil, fmt.Errorf("pass the sandbox's policy: %w", err)
	}
	return f, nil
}

// cutLog empties a log that has become too long. The child appends to it.
func cutLog(path string) error {
	fi, err := os.Stat(path)
	if err != nil || fi.Size() <= maxLog {
		return err
	}
	return os.Truncate(path, 0)
}
