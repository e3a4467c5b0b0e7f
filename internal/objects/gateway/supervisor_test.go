package gateway_test

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/ergane-dev/ergane/internal/flock"
	"github.com/ergane-dev/ergane/internal/objects/gateway"
	"github.com/ergane-dev/ergane/internal/testkit"
)

// gone waits for the end of a process that this one may have to reap: it is a
// child of the test, also when its supervisor no longer watches it.
func gone(t *testing.T, pid int) {
	t.Helper()
	eventually(t, "the process ends", func() bool {
		var status syscall.WaitStatus
		if reaped, err := syscall.Wait4(pid, &status, syscall.WNOHANG, nil); err == nil && reaped == pid {
			return true
		}
		return errors.Is(syscall.Kill(pid, 0), syscall.ESRCH)
	})
}

func TestTheNextServerAdoptsTheEmbeddedS3(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	first := s.supervisor(t, nil)
	if err := first.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	c := s.client(t, first.Endpoint(), nil)
	if err := put(t, c, "bucket", "key", "x"); err != nil {
		t.Fatal(err)
	}
	pid := s.handle(t).PID
	first.Detach()
	if first.Healthy() == nil {
		t.Error("an embedded S3 without a supervisor is called healthy")
	}
	if err := put(t, c, "bucket", "key", "without a server"); err != nil {
		t.Error(err)
	}
	second := s.start(t, nil)
	if now := s.handle(t).PID; now != pid {
		t.Errorf("process %d was replaced by %d", pid, now)
	}
	if second.Endpoint() != first.Endpoint() {
		t.Errorf("the endpoint moved from %s to %s", first.Endpoint(), second.Endpoint())
	}
}

func TestAKilledEmbeddedS3IsStartedAgainAtItsAddress(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	sup := s.start(t, nil)
	c := s.client(t, sup.Endpoint(), nil)
	if err := put(t, c, "bucket", "key", "x"); err != nil {
		t.Fatal(err)
	}
	before := s.handle(t)
	s.signal(t, syscall.SIGKILL)
	eventually(t, "another process serves", func() bool { return s.handle(t).PID != before.PID && sup.Healthy() == nil })
	if n := sup.Restarts(); n != 1 {
		t.Errorf("%d restarts", n)
	}
	if now := s.handle(t).Addr; now != before.Addr {
		t.Errorf("the address moved from %s to %s", before.Addr, now)
	}
	if got, err := get(t, c, "bucket", "key"); got != "x" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
}

func TestAnAdoptedEmbeddedS3IsWatchedToo(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	first := s.supervisor(t, nil)
	if err := first.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	first.Detach()
	sup := s.start(t, nil)
	pid := s.handle(t).PID
	s.signal(t, syscall.SIGKILL)
	eventually(t, "another process serves", func() bool { return s.handle(t).PID != pid && sup.Healthy() == nil })
	gone(t, pid)
}

func TestAnEmbeddedS3OnANamedAddressIsAdoptedToo(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	named := func(c *gateway.SupervisorConfig) { c.Listen = "localhost:0" }
	first := s.supervisor(t, named)
	if err := first.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	pid := s.handle(t).PID
	first.Detach()
	s.start(t, named)
	if now := s.handle(t).PID; now != pid {
		t.Errorf("process %d was replaced by %d", pid, now)
	}
}

// probeTimeout is short, for a process that hangs, and long enough for one that
// works: the next process has to answer within it, too.
const probeTimeout = 2 * time.Second

func TestAnEmbeddedS3ThatHangsIsReplaced(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	sup := s.start(t, func(c *gateway.SupervisorConfig) {
		c.ProbeEvery, c.ProbeTimeout = 20*time.Millisecond, probeTimeout
	})
	pid := s.handle(t).PID
	s.signal(t, syscall.SIGSTOP)
	eventually(t, "the embedded S3 is said to be unhealthy", func() bool { return sup.Healthy() != nil })
	eventually(t, "another process serves", func() bool { return s.handle(t).PID != pid && sup.Healthy() == nil })
	if err := put(t, s.client(t, sup.Endpoint(), nil), "bucket", "key", "x"); err != nil {
		t.Error(err)
	}
}

// The process that a killed server had just started takes the lock after the next
// server has looked for one, and before that server's own process does.
func TestAProcessThatAppearsLateIsAdopted(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	const late = `if [ ! -e late ]; then
	  touch late; "$0" s3 "$@" 3>/dev/null & until [ -s s3.json ]; do sleep 0.01; done; cp s3.json late
	fi
	exec "$0" s3 "$@"`
	sup := s.start(t, func(c *gateway.SupervisorConfig) { c.Command = []string{"/bin/sh", "-c", late, os.Args[0]} })
	adopted, err := os.ReadFile(filepath.Join(s.dir, "late"))
	if err != nil || len(adopted) == 0 {
		t.Fatalf("no process appeared late: %v", err)
	}
	if now, _ := os.ReadFile(filepath.Join(s.dir, "s3.json")); string(now) != string(adopted) {
		t.Errorf("the process is %s and not the one that appeared late, %s", now, adopted)
	}
	if err := put(t, s.client(t, sup.Endpoint(), nil), "bucket", "key", "x"); err != nil {
		t.Error(err)
	}
}

func TestAHungEmbeddedS3IsNotAdopted(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	first := s.supervisor(t, nil)
	if err := first.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	first.Detach()
	pid := s.handle(t).PID
	s.signal(t, syscall.SIGSTOP)
	eventually(t, "all threads have stopped", func() bool { return testkit.Stopped(pid) })
	s.start(t, func(c *gateway.SupervisorConfig) { c.ProbeTimeout = probeTimeout })
	if s.handle(t).PID == pid {
		t.Error("it was adopted")
	}
	gone(t, pid)
}

func TestAnEmbeddedS3OfAnotherBuildOrAddressIsReplaced(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	first := s.supervisor(t, func(c *gateway.SupervisorConfig) { c.Build = "old" })
	if err := first.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	old := s.handle(t)
	first.Detach()
	second := s.supervisor(t, func(c *gateway.SupervisorConfig) { c.Build = "new" })
	if err := second.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	gone(t, old.PID)
	if now := s.handle(t); now.Build != "new" || now.Addr != old.Addr {
		t.Errorf("%+v after %+v", now, old)
	}
	replaced := s.handle(t)
	second.Detach()
	addr := freeAddr(t)
	third := s.start(t, func(c *gateway.SupervisorConfig) { c.Build, c.Listen = "new", addr })
	gone(t, replaced.PID)
	if third.Endpoint() != "http://"+addr {
		t.Errorf("it is at %s", third.Endpoint())
	}
}

func freeAddr(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func TestADataDirKeepsItsPort(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	first := s.supervisor(t, nil)
	if err := first.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := first.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	if h := s.handle(t); !h.Clean {
		t.Error("it did not stop cleanly")
	}
	if second := s.start(t, nil); second.Endpoint() != first.Endpoint() {
		t.Errorf("the endpoint moved from %s to %s", first.Endpoint(), second.Endpoint())
	}
}

func TestAnAddressInUseIsSaidInOneSentence(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	sup := s.supervisor(t, func(c *gateway.SupervisorConfig) { c.Listen = l.Addr().String() })
	err = sup.Start(t.Context())
	if !errors.Is(err, gateway.ErrInUse) || !strings.Contains(err.Error(), l.Addr().String()) || strings.Contains(err.Error(), "\n") {
		t.Errorf("error is %v", err)
	}
	if held, err := flock.Held(filepath.Join(s.dir, "s3.lock")); held || err != nil {
		t.Errorf("a process is left: %v, %v", held, err)
	}
}

func TestAProgramThatIsNotTheEmbeddedS3IsReported(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	sup := s.supervisor(t, func(c *gateway.SupervisorConfig) { c.Command = []string{"/bin/false"} })
	if err := sup.Start(t.Context()); err == nil || !strings.Contains(err.Error(), "s3.log") {
		t.Errorf("error is %v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	sup = s.supervisor(t, func(c *gateway.SupervisorConfig) { c.Command = []string{"/bin/sh", "-c", "sleep 1000", "sh"} })
	if err := sup.Start(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("error is %v", err)
	}
}

func TestTheEmbeddedS3EndsWhenNoServerAndNoKernelIsLeft(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	sup := s.supervisor(t, func(c *gateway.SupervisorConfig) { c.DeadMan = 300 * time.Millisecond })
	if err := sup.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	pid := s.handle(t).PID
	sup.Detach()
	session := filepath.Join(s.dir, "sessions", "some-session")
	if err := os.MkdirAll(session, 0o700); err != nil {
		t.Fatal(err)
	}
	kernel, err := flock.Acquire(filepath.Join(session, "lock"))
	if err != nil {
		t.Fatal(err)
	}
	if err := s.lock.Release(); err != nil {
		t.Fatal(err)
	}
	// It stays for the kernel: longer than it would without one.
	c := s.client(t, sup.Endpoint(), nil)
	for end := time.Now().Add(time.Second); time.Now().Before(end); {
		if err := put(t, c, "bucket", "key", "x"); err != nil {
			t.Fatal("it ended while a kernel lived: ", err)
		}
	}
	if err := kernel.Release(); err != nil {
		t.Fatal(err)
	}
	gone(t, pid)
	if !s.handle(t).Clean {
		t.Error("it did not stop cleanly")
	}
}

func TestTheLogOfTheEmbeddedS3StaysSmall(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	sup := s.supervisor(t, nil)
	if err := sup.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(s.dir, "s3.log")
	log, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	if _, err := log.Write(make([]byte, 2<<20)); err != nil {
		t.Fatal(err)
	}
	if err := sup.Stop(context.Background()); err != nil { // which it logs
		t.Fatal(err)
	}
	older, err := os.Stat(path + ".1")
	if err != nil || older.Size() < 2<<20 {
		t.Errorf("the older log: %v, %v", older, err)
	}
	if raw, err := os.ReadFile(path); err != nil || len(raw) > 1<<20 || !strings.Contains(string(raw), "embedded S3 is stopping") {
		t.Errorf("the log has %d bytes (%v)", len(raw), err)
	}
}
