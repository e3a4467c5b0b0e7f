package kernel_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/ergane-dev/ergane"
	"github.com/ergane-dev/ergane/internal/kernel"
)

// good is an outcome as an honest kernel writes it, of the calculation "c".
const good = `{"v":1,"id":"c","state":"COMPLETED","error":null,"start":1.7e9,"end":1.7e9,"stdout":[0,4],"stderr":[0,0],"outputs":0}`

// hostile puts something in the place of a file and says how.
var hostile = map[string]func(t *testing.T, name string){
	"a named pipe": func(t *testing.T, name string) { must(t, syscall.Mkfifo(name, 0o600)) },
	"a socket": func(t *testing.T, name string) {
		short := filepath.Join(os.TempDir(), fmt.Sprintf("s%d-%d", os.Getpid(), sessions.Add(1)))
		l, err := net.ListenUnix("unix", &net.UnixAddr{Name: short, Net: "unix"})
		must(t, err)
		l.SetUnlinkOnClose(false)
		t.Cleanup(func() { l.Close() })
		must(t, os.Rename(short, name))
	},
	"a folder": func(t *testing.T, name string) { must(t, os.Mkdir(name, 0o700)) },
	"a link to the outside": func(t *testing.T, name string) {
		target := filepath.Join(t.TempDir(), "target")
		must(t, os.WriteFile(target, []byte(good), 0o600))
		must(t, os.Symlink(target, name))
	},
	"a link to the inside": func(t *testing.T, name string) {
		must(t, os.WriteFile(name+".real", []byte(good), 0o600))
		must(t, os.Symlink(filepath.Base(name)+".real", name))
	},
	"a link to itself":   func(t *testing.T, name string) { must(t, os.Symlink(filepath.Base(name), name)) },
	"a link to a device": func(t *testing.T, name string) { must(t, os.Symlink("/dev/zero", name)) },
	"an endless file": func(t *testing.T, name string) {
		must(t, os.WriteFile(name, []byte(good), 0o600))
		must(t, os.Truncate(name, 1<<40))
	},
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// emptySpool is the spool of a session without a kernel, with the calculation "c".
func emptySpool(t *testing.T) (*kernel.Spool, string) {
	t.Helper()
	dir := t.TempDir()
	must(t, os.MkdirAll(filepath.Join(dir, "work", "calc", "c"), 0o700))
	s, err := kernel.OpenSpool(dir)
	must(t, err)
	t.Cleanup(func() { s.Close() })
	return s, filepath.Join(dir, "work")
}

func TestNothingButAFileIsReadAsADocument(t *testing.T) {
	t.Parallel()
	for name, put := range hostile {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, work := emptySpool(t)
			put(t, filepath.Join(work, "calc/c/outcome.json"))
			put(t, filepath.Join(work, "calc/c/started.json"))
			_, ok, err := s.Outcome("c")
			if _, bad := errors.AsType[*kernel.DocumentError](err); ok || !bad {
				t.Errorf("Outcome: %v, %v", ok, err)
			}
			if _, ok, err := s.Started("c"); ok || err == nil {
				t.Errorf("Started: %v, %v", ok, err)
			}
		})
	}
}

func TestNothingButAFileIsReadAsAStream(t *testing.T) {
	t.Parallel()
	for name, put := range hostile {
		if name == "an endless file" { // it is a file; the reader limits how much of it is read
			continue
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, work := emptySpool(t)
			put(t, filepath.Join(work, "stdout"))
			put(t, filepath.Join(work, "calc/c/outputs.ndjson"))
			if c, err := s.Section(ergane.Stdout, ergane.Range{End: 4}); err == nil {
				c.Close()
				t.Error("Section opened it")
			}
			if c, err := s.Outputs("c", 4); err == nil {
				c.Close()
				t.Error("Outputs opened it")
			}
			if err := s.Release(ergane.Stdout, ergane.Range{End: 4}); err == nil {
				t.Error("Release opened it")
			}
			if _, err := s.Size(ergane.Stdout); err == nil {
				t.Error("Size believed it")
			}
		})
	}
}

func TestASpoolThatIsNoFolderIsRefused(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	must(t, syscall.Mkfifo(filepath.Join(dir, "work"), 0o600))
	if _, err := kernel.OpenSpool(dir); err == nil {
		t.Error("a named pipe was opened")
	}
	must(t, os.Remove(filepath.Join(dir, "work")))
	must(t, os.Symlink("/", filepath.Join(dir, "work")))
	if _, err := kernel.OpenSpool(dir); err == nil {
		t.Error("a link was followed")
	}
}

func TestAKernelThatForgesAnOutcomeHarmsOnlyItsCalculation(t *testing.T) {
	t.Parallel()
	for name, put := range hostile {
		if name == "a folder" { // the stand-in cannot replace one and has no way to say so
			continue
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			k, dir := startStandIn(t)
			exec(t, k, "c", "append "+filepath.Join(dir, "in")+" 1\nsleep 1h")
			pidIn(t, filepath.Join(dir, "in"))
			put(t, filepath.Join(dir, "work/calc/c/outcome.json"))
			// It is still running, so the file is not its outcome.
			ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
			defer cancel()
			if o, err := k.Wait(ctx, "c"); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("Wait: %+v, %v", o, err)
			}
			if err := k.Interrupt(patience(t), "c"); err != nil {
				t.Fatal(err)
			}
			if o := wait(t, k, "c"); o.State != ergane.CalculationCanceled {
				t.Errorf("outcome %+v", o)
			}
		})
	}
}

func TestAnOutcomeThatStaysUnusableIsAnError(t *testing.T) {
	t.Parallel()
	k, dir := startStandIn(t)
	run(t, k, "c", "print")
	must(t, os.WriteFile(filepath.Join(dir, "work/calc/c/outcome.json"), []byte(strings.Replace(good, "COMPLETED", "RUNNING", 1)), 0o600))
	_, err := k.Wait(patience(t), "c")
	if _, ok := errors.AsType[*kernel.DocumentError](err); !ok {
		t.Errorf("Wait: %v", err)
	}
}

func TestJunkOnTheSocketIsIgnored(t *testing.T) {
	t.Parallel()
	k, _ := startStandIn(t)
	if o := run(t, k, "one", "junk 5000\nprint"); o.State != ergane.CalculationCompleted {
		t.Errorf("outcome %+v", o)
	}
	if o := run(t, k, "two", "flood\nprint"); o.State != ergane.CalculationCompleted {
		t.Errorf("outcome %+v", o)
	}
	if _, err := k.Executors(patience(t)); err != nil {
		t.Errorf("Executors: %v", err)
	}
}

func TestASocketOfAnotherProcessIsNotBelieved(t *testing.T) {
	t.Parallel()
	k, dir := startStandIn(t)
	run(t, k, "one", "print")
	// This process takes the place of the kernel's socket, as a child of user code could.
	sock := filepath.Join(dir, "work", "kernel.sock")
	must(t, os.Remove(sock))
	d, err := os.Open(filepath.Dir(sock))
	must(t, err)
	defer d.Close()
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: fmt.Sprintf("/proc/self/fd/%d/kernel.sock", d.Fd()), Net: "unix"})
	must(t, err)
	defer l.Close()
	heard := make(chan string, 1)
	go func() {
		c, err := l.Accept()
		if err != nil {
			return
		}
		defer c.Close()
		b := make([]byte, 1<<10)
		n, _ := c.Read(b)
		heard <- string(b[:n])
	}()
	k.Detach()
	k, err = kernel.Adopt(patience(t), dir, token, nil)
	must(t, err)
	endAfter(t, k)
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if _, err := k.Executors(ctx); err == nil {
		t.Error("a stranger's answer was taken")
	}
	if got := <-heard; got != "" {
		t.Errorf("a stranger was told %q", got)
	}
}

func TestAWrongTokenOpensNothing(t *testing.T) {
	t.Parallel()
	k, dir := startStandIn(t)
	other, err := kernel.Adopt(patience(t), dir, strings.Repeat("f", 64), nil)
	must(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if _, err := other.Executors(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Executors: %v", err)
	}
	other.Detach()
	run(t, k, "one", "print")
}
