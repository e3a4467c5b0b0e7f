package host

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/ergane-dev/ergane"
	"github.com/ergane-dev/ergane/internal/delivery"
)

// inChild names the variable of a test that runs in a process of its own.
const inChild = "ERGANE_TEST_CHILD"

// A server without free descriptors must not take files that it cannot open for missing ones.
func TestWithoutDescriptorsNothingCountsAsGone(t *testing.T) {
	if os.Getenv(inChild) == "" {
		t.Parallel()
		child := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v")
		child.Env = append(os.Environ(), inChild+"=1")
		if out, err := child.CombinedOutput(); err != nil {
			t.Errorf("%v\n%s", err, out)
		}
		return
	}
	const sid, cid = "0196a1e4-0000-7000-8000-000000000001", "0196a1e4-0000-7000-8000-000000000002"
	h := New(Config{DataDir: t.TempDir()})
	write := func(name, text string) {
		path := filepath.Join(h.dir(sid), "work", name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, []byte(text), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	write("stdout", "kept\n")
	write("calc/"+cid+"/outputs.ndjson", "{}\n")
	write("calc/"+cid+"/started.json", `{"v":1,"id":"`+cid+`","t":1,"stdout":0,"stderr":0}`)
	write("calc/"+cid+"/outcome.json", `{"v":1,"id":"`+cid+`","state":"COMPLETED","start":1,"end":2,"stdout":[0,5],"stderr":[0,0],"outputs":3}`)
	spool, err := h.Spool(sid)
	if err != nil {
		t.Fatal(err)
	}
	defer spool.Close()
	look := map[string]func() error{
		"the spool":   func() error { s, err := h.Spool(sid); return errors.Join(err, closed(s)) },
		"the outcome": func() error { _, ok, err := spool.Outcome(cid); return found(ok, err) },
		"the start":   func() error { _, _, _, ok, err := spool.Started(cid); return found(ok, err) },
		"a stream": func() error {
			s, err := spool.Section(ergane.Stdout, ergane.Range{End: 5})
			return errors.Join(err, closed(s))
		},
		"the outputs": func() error { s, err := spool.Outputs(cid, 3); return errors.Join(err, closed(s)) },
		"all outputs": func() error { s, err := spool.Outputs(cid, -1); return errors.Join(err, closed(s)) },
	}
	for what, try := range look {
		if err := try(); err != nil {
			t.Fatalf("%s: %v", what, err)
		}
	}
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	// Every number below the limit is taken; the Go runtime has its own by now.
	none := limit
	none.Cur = 0
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &none); err != nil {
		t.Fatal(err)
	}
	for what, try := range look {
		if err := try(); !errors.Is(err, syscall.EMFILE) || errors.Is(err, delivery.ErrSpool) {
			t.Errorf("%s without descriptors: %v", what, err)
		}
	}
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	for what, try := range look {
		if err := try(); err != nil {
			t.Errorf("%s afterwards: %v", what, err)
		}
	}
	if _, err := h.Spool("0196a1e4-0000-7000-8000-000000000003"); !errors.Is(err, delivery.ErrSpool) {
		t.Errorf("a spool that is not there: %v", err)
	}
	if _, err := spool.Section(ergane.Stdout, ergane.Range{End: 50}); !errors.Is(err, delivery.ErrSpool) {
		t.Errorf("a stream that is too short: %v", err)
	}
	if _, err := spool.Section(ergane.Stderr, ergane.Range{End: 1}); !errors.Is(err, delivery.ErrSpool) {
		t.Errorf("a stream that is not there: %v", err)
	}
}

func found(ok bool, err error) error {
	if err == nil && !ok {
		return errors.New("there is none")
	}
	return err
}

func closed(c interface{ Close() error }) error {
	if c == nil {
		return nil
	}
	return c.Close()
}
