package metastore_test

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/ergane-dev/ergane/internal/flock"
	"github.com/ergane-dev/ergane/internal/metastore"
	"github.com/ergane-dev/ergane/internal/testkit"
)

func TestTheChildStartsWithTheFirstConnectionAndServesAll(t *testing.T) {
	t.Parallel()
	h := newHarness(t, "echo", nil)
	if state, err := h.State(); h.Running() || h.Starts() != 0 || err != nil || state != "starts when it is first used" {
		t.Errorf("state %q, %v, after %d starts", state, err, h.Starts())
	}
	var all sync.WaitGroup
	pids := make([]int, 8)
	for i := range pids {
		c := h.dial()
		all.Go(func() {
			pids[i] = h.pid(c)
			h.echo(c, "word")
		})
	}
	all.Wait()
	for _, pid := range pids {
		if pid != pids[0] {
			t.Fatalf("children %v", pids)
		}
	}
	if h.Starts() != 1 || !h.Running() {
		t.Errorf("%d starts, running %t", h.Starts(), h.Running())
	}
	h.Close()
	if !gone(pids[0]) {
		t.Error("the child outlives its server")
	}
}

func TestTheEndOfEitherSideIsPassedOn(t *testing.T) {
	t.Parallel()
	h := newHarness(t, "echo", nil)
	c := h.dial()
	h.pid(c)
	h.echo(c, "word")
	if err := c.Conn.(interface{ CloseWrite() error }).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if rest, err := io.ReadAll(c.in); len(rest) > 0 || err != nil {
		t.Errorf("%q, %v", rest, err)
	}
}

func TestAChildThatDiedIsStartedByTheNextConnection(t *testing.T) {
	t.Parallel()
	h := newHarness(t, "echo", nil)
	c := h.dial()
	before := h.pid(c)
	if err := syscall.Kill(before, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadAll(c.in); err != nil && !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("its connections end with %v", err)
	}
	// Its listening socket may close a moment after its connections.
	testkit.Await(t, time.Minute, func() bool { return !h.Running() })
	again := h.dial()
	if after := h.pid(again); after == before {
		t.Errorf("it is still process %d", after)
	}
	h.echo(again, "word")
	if h.Starts() != 2 {
		t.Errorf("%d starts", h.Starts())
	}
}

func TestTheReasonOfAFailedStartIsTheAnswer(t *testing.T) {
	t.Parallel()
	h := newHarness(t, "broken", nil)
	why := h.refusal()
	if !strings.HasPrefix(why, "the catalog cannot be used: it ended before it answered (exit status 3); see ") {
		t.Errorf("the answer is %q", why)
	}
	log, err := os.ReadFile(why[strings.LastIndex(why, " ")+1:])
	if err != nil || string(log) != "no such jar\n" {
		t.Errorf("the log is %q, %v", log, err)
	}
	if _, err := h.State(); err == nil || !strings.HasPrefix(err.Error(), "it ended before it answered") {
		t.Errorf("the state is %v", err)
	}
}

func TestAnErrorOfTheCommandIsTheAnswer(t *testing.T) {
	t.Parallel()
	h := newHarness(t, "", func(cfg *metastore.Config) {
		cfg.Command = func(context.Context) (metastore.Command, error) {
			return metastore.Command{}, errors.New("the engine is not installed")
		}
	})
	if why := h.refusal(); why != "the catalog cannot be used: the engine is not installed" {
		t.Errorf("the answer is %q", why)
	}
}

func TestAStartThatHangsIsGivenUp(t *testing.T) {
	t.Parallel()
	h := newHarness(t, "mute", func(cfg *metastore.Config) { cfg.StartTimeout = 2 * time.Second })
	if why := h.refusal(); !strings.HasPrefix(why, "the catalog cannot be used: it did not start within 2s; see ") {
		t.Errorf("the answer is %q", why)
	}
	awaitFree(t, h)
}

func TestCloseInterruptsAStart(t *testing.T) {
	t.Parallel()
	h := newHarness(t, "mute", nil)
	h.dial()
	testkit.Await(t, time.Minute, func() bool {
		held, err := flock.Held(filepath.Join(h.dir, "lock"))
		return held && err == nil
	})
	h.Close()
	awaitFree(t, h)
}

func TestAChildThatDoesNotEndIsKilled(t *testing.T) {
	t.Parallel()
	h := newHarness(t, "stubborn", nil)
	pid := h.pid(h.dial())
	h.Close()
	if !gone(pid) {
		t.Error("the child outlives its server")
	}
}

func TestTwoChildrenNeverUseOneFolder(t *testing.T) {
	t.Parallel()
	first := newHarness(t, "echo", nil)
	pid := first.pid(first.dial())
	second := newHarness(t, "echo", func(cfg *metastore.Config) { cfg.Dir, cfg.StartTimeout = first.dir, 2*time.Second })
	if why := second.refusal(); !strings.Contains(why, "another process has the catalog") {
		t.Errorf("the answer is %q", why)
	}
	third := newHarness(t, "echo", func(cfg *metastore.Config) { cfg.Dir = first.dir })
	waiting := third.dial()
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if third.pid(waiting) == pid {
		t.Error("it is the same child")
	}
}

func TestACallOfAnotherProtocolIsNotAnswered(t *testing.T) {
	t.Parallel()
	h := newHarness(t, "broken", nil)
	c := h.dial()
	if _, err := c.Write([]byte("GET / HTTP/1.1\r\n\r\n")); err != nil {
		t.Fatal(err)
	}
	if answer, _ := io.ReadAll(c.in); len(answer) > 0 {
		t.Errorf("the answer is %q", answer)
	}
}

// awaitFree waits until nobody has the catalog's folder: its child is gone.
func awaitFree(t *testing.T, h *harness) {
	t.Helper()
	testkit.Await(t, time.Minute, func() bool {
		held, err := flock.Held(filepath.Join(h.dir, "lock"))
		return !held && err == nil
	})
}

func TestAnUnfinishedDatabaseIsRemovedAndAnyOtherIsNot(t *testing.T) {
	t.Parallel()
	for name, keeps := range map[string]bool{"unfinished": false, "whole": true, "a file": true} {
		folder := t.TempDir()
		database := filepath.Join(folder, "derby")
		var err error
		switch name {
		case "a file":
			err = os.WriteFile(database, nil, 0o600)
		case "whole":
			err = errors.Join(os.Mkdir(database, 0o700), os.WriteFile(filepath.Join(database, "service.properties"), nil, 0o600))
		default:
			err = os.MkdirAll(filepath.Join(database, "seg0"), 0o700)
		}
		if err != nil {
			t.Fatal(err)
		}
		if _, err := metastore.Prepare(folder, "s3://results/warehouse", nil); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := os.Lstat(database); (err == nil) != keeps {
			t.Errorf("%s: %v, want it kept: %v", name, err, keeps)
		}
	}
}
