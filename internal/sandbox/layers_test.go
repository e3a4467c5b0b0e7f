package sandbox_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/ergane-dev/ergane/internal/sandbox"
)

// Each test also tries without the layer what the layer denies, so that it can fail.

func TestMountsLeaveNothingButTheView(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	listener, err := net.Listen("unix", filepath.Join(p.data, "sock"))
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	deeds := []string{
		"read " + p.secret, "list " + filepath.Join(p.data, "sessions"), "dial " + filepath.Join(p.data, "sock"),
		"write " + filepath.Join(p.work, "file"), "write /tmp/ergane-test-mounts", "write /etc/ergane-test", "write /dev/null",
	}
	p.want(deeds[:4], "done", "done", "done", "done")
	p.Mounts = true
	p.want(deeds, "not there", "done", "not there", "done", "done", "read-only file system", "done")
	if _, err := os.Stat("/tmp/ergane-test-mounts"); err == nil {
		t.Error("/tmp is everybody's")
	}
	if _, err := os.Stat(filepath.Join(p.work, "systmp", "ergane-test-mounts")); err != nil {
		t.Error(err)
	}
}

func TestTemporaryFoldersAreItsOwnWhateverLiesInTheMachines(t *testing.T) {
	t.Parallel()
	for _, machines := range temporaries {
		engine, err := os.MkdirTemp(machines, "ergane-test-")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { os.RemoveAll(engine) })
		for _, dir := range []string{engine, filepath.Join(engine, "lib")} {
			if err := errors.Join(os.MkdirAll(dir, 0o755), os.Chmod(dir, 0o755), os.WriteFile(filepath.Join(dir, "file"), []byte("x"), 0o644)); err != nil {
				t.Fatal(err)
			}
		}
		lib, name := filepath.Join(engine, "lib"), filepath.Base(engine)
		for _, read := range [][]string{{lib}, {lib, "/var"}} { // the machine's /var/tmp is in that
			for _, user := range []int{0, testUser} {
				p := newPlace(t)
				p.View = p.View.AndRead(read...)
				p.Mounts, p.Landlock = true, true
				if user != 0 {
					p.own(user)
				}
				p.want([]string{
					"write /tmp/" + name + ".new", "write /var/tmp/" + name + ".new",
					"read " + filepath.Join(lib, "file"), "write " + filepath.Join(lib, "new"), "read " + filepath.Join(engine, "file"),
				}, "done", "done", "done", "read-only file system", "not there")
				for _, dir := range temporaries {
					if _, err := os.Lstat(filepath.Join(dir, name+".new")); err == nil {
						t.Errorf("%v, user %d: %s is the machine's", read, user, dir)
						os.Remove(filepath.Join(dir, name+".new"))
					}
				}
			}
		}
	}
}

var temporaries = []string{"/tmp", "/var/tmp"}

func TestLandlockLeavesNothingButTheView(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	from, to := filepath.Join(p.work, "tmp", "moved"), filepath.Join(p.work, "moved")
	deeds := []string{
		"read " + p.secret, "list " + p.data, "write " + filepath.Join(p.data, "planted"),
		"write " + from, "move " + from + " " + to, "read /etc/passwd", "write /dev/null",
	}
	all := []string{"done", "done", "done", "done", "done", "done", "done"}
	p.want(deeds, all...)
	p.Landlock = true
	p.want(deeds, "permission denied", "permission denied", "permission denied", "done", "done", "done", "done")
}

func TestLandlockLetsNoSignalAndNoNamelessSocketOut(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	name := fmt.Sprintf("@ergane-test-%d", os.Getpid())
	listener, err := net.Listen("unix", name)
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	deeds := []string{"signal " + fmt.Sprint(os.Getpid()), "dial " + name}
	p.want(deeds, "done", "done")
	p.Landlock = true
	if found := detect(t, p.data, sandbox.System(p.data)); found.Scopes() {
		p.want(deeds, "operation not permitted", "operation not permitted")
	} else { // an older Linux, and doctor says so
		p.want(deeds, "done", "done")
	}
}

func TestWhatIsHiddenInAReadableFolderIsNotThere(t *testing.T) {
	t.Parallel()
	for _, layer := range []string{"mounts", "landlock"} {
		p := newPlace(t)
		open := filepath.Join(p.data, "open")
		deeds := []string{
			"read " + filepath.Join(open, "plain"), "read " + filepath.Join(open, "private", "file"), "read " + filepath.Join(open, "file"),
		}
		for _, name := range []string{"plain", "private/file", "file"} {
			path := filepath.Join(open, name)
			if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, []byte("x"), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		p.View = sandbox.System(filepath.Join(open, "private"), filepath.Join(open, "file")).AndRead(open, p.Stage[0]).AndWrite(p.work)
		p.View.Tmp = filepath.Join(p.work, "systmp")
		p.want(deeds, "done", "done", "done")
		if layer == "mounts" {
			p.Mounts = true
			p.want(deeds, "done", "not there", "permission denied") // the file is /dev/null without its device
		} else {
			p.Landlock = true
			p.want(deeds, "done", "permission denied", "permission denied")
		}
	}
}

// It can fail only if the tests do not run as root, who may read everything.
func TestWhatIsHiddenMayBeOutOfReach(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	closed := filepath.Join(p.data, "closed")
	if err := os.MkdirAll(filepath.Join(closed, "private"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(closed, 0); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.Chmod(closed, 0o700) })
	p.View.Hidden = append(p.View.Hidden, filepath.Join(closed, "private"))
	p.Mounts = true
	p.want([]string{"write " + filepath.Join(p.work, "file")}, "done")
}

func TestAUserOfItsOwnHasANameAndNothingElse(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	private := filepath.Join(p.data, "private")
	if err := os.WriteFile(private, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	p.View = p.View.AndRead(private)
	deeds := []string{"user ", "read " + private, "signal " + fmt.Sprint(os.Getpid()), "write " + filepath.Join(p.work, "file")}
	p.Mounts = true
	p.want(deeds[1:], "done", "done", "done")
	p.own(testUser)
	p.want(deeds, fmt.Sprintf("ergane%s%d []", p.work, testUser), "permission denied", "operation not permitted", "done")
}

func TestAUserThatTheListsDoNotHaveGetsAName(t *testing.T) {
	t.Parallel()
	for id, known := range map[string]bool{"root:x:0:0::/:/bin/sh\n": true, "toor:x:00:0::/:/bin/sh\nten:x:10:0:\n": false, "": false, "x:0\n": false} {
		if got := sandbox.Listed([]byte(id), 0); got != known {
			t.Errorf("%q: %v", id, got)
		}
	}
}

func TestEveryStageGivesUpItsPrivileges(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	none := strings.Repeat("0", 16)
	p.want([]string{"status NoNewPrivs", "status CapEff", "status CapPrm", "status CapInh", "status CapAmb", "core "},
		"1", none, none, none, none, "0")
	p.Mounts = true
	p.want([]string{"status NoNewPrivs", "status CapEff", "status CapPrm", "status CapInh", "status CapAmb", "core "},
		"1", none, none, none, none, "0")
}

func TestAUserHasSoManyProcessesAndNoMore(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	p.own(testUser)
	p.Mounts = true
	p.want([]string{"fork 40"}, "done")
	p.Processes = 30
	p.want([]string{"fork 40"}, "resource temporarily unavailable")
}

func TestAProcessNamespaceHasNoProcessesButItsOwn(t *testing.T) {
	t.Parallel()
	for _, user := range []int{0, testUser} {
		for _, landlock := range []bool{false, true} {
			p := newPlace(t)
			if user != 0 {
				p.own(user)
			}
			ours := fmt.Sprint(os.Getpid())
			deeds := []string{"signal " + ours, "read /proc/" + ours + "/status", "orphans ", "write " + filepath.Join(p.work, "file")}
			p.Mounts, p.Landlock = true, landlock
			if found := p.tries(deeds[1]); found[0] != "done" {
				t.Errorf("without: %q", found)
			}
			p.Pids = true
			p.want(deeds, "no such process", "not there", "done", "done")
			if seen := p.tries("processes "); !strings.HasPrefix(seen[0], "2 ") || !strings.HasSuffix(seen[0], " 1") {
				t.Errorf("processes, own and parent's number: %q", seen)
			}
			p.want([]string{"read /proc/1/environ", "read /proc/1/maps", "list /proc/1/root/"}, "permission denied", "permission denied", "permission denied")
		}
	}
}

func TestTheEndOfAProcessInANamespaceIsReportedOutside(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	p.Mounts, p.Pids = true, true
	for deed, want := range map[string]string{"die 9": "exit status 137", "die 15": "exit status 143"} {
		if _, err := p.run(deed); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%s: %v", deed, err)
		}
	}
}

func TestWhenMemoryIsShortASessionGoesFirst(t *testing.T) {
	t.Parallel()
	for _, mounts := range []bool{false, true} {
		for _, c := range []struct{ before, want string }{{"0", "500"}, {"700", "700"}} {
			p := newPlace(t)
			p.Mounts = mounts
			p.Stage = []string{"/bin/sh", "-c", "echo " + c.before + ` > /proc/self/oom_score_adj; exec "$@"`, "sh", p.self, "confine"}
			p.want([]string{"score "}, c.want)
		}
	}
}

func TestSharedMemoryHasASize(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	p.Mounts = true
	var machine unix.Sysinfo_t
	if err := unix.Sysinfo(&machine); err != nil {
		t.Fatal(err)
	}
	most := min(1<<30, int64(machine.Totalram)*int64(machine.Unit)/4)
	page := int64(os.Getpagesize())
	p.want([]string{"size /dev/shm"}, fmt.Sprint((most+page-1)/page*page))
}

func TestDetectFindsALayerThatDoesNotHold(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	if found := detect(t, data, sandbox.System(data)); !found.Mounts.Active || !found.Landlock.Active || !found.Pids.Active || found.User.Active != (os.Geteuid() == 0) {
		t.Errorf("on this machine: %+v", found)
	}
	leaky := sandbox.System().AndRead(data)
	found := detect(t, data, leaky)
	for name, layer := range map[string]sandbox.Layer{"mounts": found.Mounts, "landlock": found.Landlock} {
		if layer.Active || !strings.Contains(layer.Why, "data folder") {
			t.Errorf("%s with a data folder in view: %+v", name, layer)
		}
	}
	if found.User.Active {
		t.Error("a user without mounts of its own")
	}
}

func TestDetectSaysWhichFileSessionsCannotRead(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Fatal("only root can give a process another user; run the tests of this package as root, too")
	}
	data, engine := t.TempDir(), t.TempDir()
	jar := filepath.Join(engine, "closed.jar")
	if err := os.WriteFile(jar, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	s := setup(t, data, sandbox.System(data).AndRead(engine))
	s.Need = []string{jar}
	found, err := sandbox.Detect(context.Background(), s)
	if err != nil {
		t.Fatal(err)
	}
	if found.User.Active || !strings.Contains(found.User.Why, jar) || !found.Mounts.Active {
		t.Errorf("%+v", found)
	}
}

func setup(t *testing.T, data string, view sandbox.View) sandbox.Setup {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return sandbox.Setup{Stage: []string{self, "confine"}, DataDir: data, View: view, Users: sandbox.DefaultUsers}
}

func detect(t *testing.T, data string, view sandbox.View) sandbox.Layers {
	t.Helper()
	found, err := sandbox.Detect(context.Background(), setup(t, data, view))
	if err != nil {
		t.Fatal(err)
	}
	left, err := filepath.Glob(filepath.Join(data, ".sandbox-*"))
	if err != nil || len(left) > 0 {
		t.Error("left behind:", left, err)
	}
	return found
}
