package sandbox_test

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/sys/unix"

	"github.com/ergane-dev/ergane/internal/flock"
	"github.com/ergane-dev/ergane/internal/sandbox"
)

// The test binary is also the stage, and the program that the stage executes.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 {
		switch os.Args[1] {
		case "confine":
			os.Exit(sandbox.Main(os.Args[2:]))
		case "try":
			for _, deed := range os.Args[2:] {
				fmt.Println(try(deed))
			}
			os.Exit(0)
		}
	}
	goleak.VerifyTestMain(m)
}

// try carries out a deed, a verb and its object, and returns the result.
func try(deed string) string {
	what, to, _ := strings.Cut(deed, " ")
	switch what {
	case "read":
		_, err := os.ReadFile(to)
		return outcome(err)
	case "list":
		_, err := os.ReadDir(to)
		return outcome(err)
	case "write":
		return outcome(os.WriteFile(to, []byte("x"), 0o600))
	case "move":
		from, to, _ := strings.Cut(to, " ")
		return outcome(os.Rename(from, to))
	case "dial":
		c, err := net.Dial("unix", to)
		if err == nil {
			c.Close()
		}
		return outcome(err)
	case "signal":
		pid, _ := strconv.Atoi(to)
		return outcome(unix.Kill(pid, 0))
	case "fork":
		n, _ := strconv.Atoi(to)
		return fork(n)
	case "escape": // leaves a process that is nobody's child
		cmd := exec.Command("/bin/sleep", "600")
		cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
		if err := cmd.Start(); err != nil {
			return outcome(err)
		}
		return strconv.Itoa(cmd.Process.Pid)
	case "eat": // so many MiB
		n, _ := strconv.Atoi(to)
		b := make([]byte, n<<20)
		for i := range b {
			b[i] = 1
		}
		return "done"
	case "user":
		u, err := user.LookupId(strconv.Itoa(os.Getuid()))
		if err != nil {
			return err.Error()
		}
		groups, _ := os.Getgroups()
		return fmt.Sprint(u.Username, u.HomeDir, os.Getgid(), groups)
	case "status":
		b, _ := os.ReadFile("/proc/self/status")
		for line := range strings.Lines(string(b)) {
			if value, ok := strings.CutPrefix(line, to+":"); ok {
				return strings.TrimSpace(value)
			}
		}
	case "busy":
		user, _ := strconv.Atoi(to)
		return fmt.Sprint(sandbox.Busy(user))
	case "claim": // and lets go of it
		number, dir, _ := strings.Cut(to, " ")
		user, _ := strconv.Atoi(number)
		claim, err := sandbox.Claim(dir, user)
		if errors.Is(err, flock.ErrHeld) {
			return "held"
		}
		if err == nil {
			claim.Release()
		}
		return outcome(err)
	case "score":
		b, err := os.ReadFile("/proc/self/oom_score_adj")
		if err != nil {
			return outcome(err)
		}
		return strings.TrimSpace(string(b))
	case "size": // of the file system there
		var st unix.Statfs_t
		if err := unix.Statfs(to, &st); err != nil {
			return outcome(err)
		}
		return fmt.Sprint(int64(st.Blocks) * st.Bsize)
	case "processes":
		all, _ := filepath.Glob("/proc/[0-9]*")
		return fmt.Sprint(len(all), os.Getpid(), os.Getppid())
	case "orphans": // of which nobody is to be left as a zombie
		for range 3 {
			if err := exec.Command("/bin/sh", "-c", "/bin/true & exec /bin/true").Run(); err != nil {
				return outcome(err)
			}
		}
		for range 1000 {
			if all, _ := filepath.Glob("/proc/[0-9]*"); len(all) == 2 {
				return "done"
			}
			time.Sleep(10 * time.Millisecond)
		}
		return "left"
	case "die":
		n, _ := strconv.Atoi(to)
		unix.Kill(os.Getpid(), unix.Signal(n))
	case "core":
		var most unix.Rlimit
		unix.Getrlimit(unix.RLIMIT_CORE, &most)
		return fmt.Sprint(most.Max)
	}
	return "unknown: " + deed
}

func outcome(err error) string {
	var errno syscall.Errno
	switch {
	case err == nil:
		return "done"
	case errors.Is(err, fs.ErrNotExist):
		return "not there"
	case errors.As(err, &errno):
		return errno.Error()
	}
	return err.Error()
}

// fork starts n processes that keep running, and says whether it could.
func fork(n int) string {
	for range n {
		cmd := exec.Command("/bin/sleep", "60")
		cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
		if err := cmd.Start(); err != nil {
			return outcome(err)
		}
		defer cmd.Wait()
		defer cmd.Process.Kill()
	}
	return "done"
}

// A place is a session's folder in a data dir with a secret, and the policy of the session without any layer.
type place struct {
	sandbox.Policy
	t      *testing.T
	self   string
	data   string
	secret string
	work   string
}

const testUser = 79998

func newPlace(t *testing.T) *place {
	t.Helper()
	data := t.TempDir()
	p := &place{t: t, data: data, secret: filepath.Join(data, "keys.json"), work: filepath.Join(data, "sessions", "one", "work")}
	for _, dir := range []string{"tmp", "systmp"} {
		if err := os.MkdirAll(filepath.Join(p.work, dir), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(p.secret, []byte("secret"), 0o644); err != nil {
		t.Fatal(err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	p.self = self
	p.Policy = sandbox.Policy{
		Stage: []string{self, "confine"}, Dir: filepath.Join(p.work, "tmp"), Home: p.work,
		View: sandbox.System(data).AndRead(self).AndWrite(p.work),
	}
	p.View.Tmp = filepath.Join(p.work, "systmp")
	return p
}

func (p *place) own(user int) {
	p.t.Helper()
	if os.Geteuid() != 0 {
		p.t.Fatal("only root can give a process another user; run the tests of this package as root, too")
	}
	p.User, p.Name = user, "ergane"
	err := filepath.WalkDir(p.work, func(path string, _ fs.DirEntry, err error) error {
		return errors.Join(err, os.Lchown(path, user, user))
	})
	if err != nil {
		p.t.Fatal(err)
	}
}

// tries runs deeds under the policy.
func (p *place) tries(deeds ...string) []string {
	p.t.Helper()
	out, err := p.run(deeds...)
	if err != nil {
		p.t.Fatal(err)
	}
	return strings.Split(strings.TrimSpace(out), "\n")
}

func (p *place) run(deeds ...string) (string, error) {
	p.t.Helper()
	runtime.LockOSThread() // the process dies with the thread that started it
	defer runtime.UnlockOSThread()
	doc, err := p.Document(os.Getpid())
	if err != nil {
		p.t.Fatal(err)
	}
	policy, err := os.CreateTemp(p.t.TempDir(), "policy")
	if err == nil {
		_, err = policy.WriteAt(doc, 0)
	}
	if err != nil {
		p.t.Fatal(err)
	}
	defer policy.Close()
	argv := p.Command(append([]string{p.self, "try"}, deeds...))
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Env = []string{}
	cmd.ExtraFiles = []*os.File{policy, policy, policy, policy} // 5 is the policy's; 3 and 4 are the kernel's, 6 is for reports
	cmd.SysProcAttr = p.Attr()
	var out, words bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &words
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("%w: %s", err, words.String())
	}
	return out.String(), nil
}

func (p *place) want(deeds []string, want ...string) {
	p.t.Helper()
	got := p.tries(deeds...)
	for n, w := range want {
		if n >= len(got) || got[n] != w {
			p.t.Errorf("%s: %q, want %q", deeds[n], got[min(n, len(got)-1)], w)
		}
	}
}
