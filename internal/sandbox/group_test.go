package sandbox_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ergane-dev/ergane/internal/flock"
	"github.com/ergane-dev/ergane/internal/sandbox"
)

// newGroup makes a group in a folder that no other test uses. It is nil if no
// groups can be made here; then Detect has said why.
func newGroup(t *testing.T, change func(*sandbox.Group)) *sandbox.Group {
	t.Helper()
	data := t.TempDir()
	found := detect(t, data, sandbox.System(data))
	if !found.Group.Active {
		if found.Group.Why == "" || found.NewGroup("x", "y") != nil {
			t.Errorf("no control groups, and no reason: %+v", found)
		}
		t.Log("no control groups:", found.Group.Why)
		return nil
	}
	g := found.NewGroup(fmt.Sprintf("test-%d-%s", os.Getpid(), t.Name()), "one")
	if change != nil {
		change(g)
	}
	if err := g.Make(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := g.Remove(); err != nil {
			t.Error(err)
		}
		for _, dir := range g.Dirs {
			if _, err := os.Stat(filepath.Dir(dir)); err == nil {
				t.Errorf("%s is left", filepath.Dir(dir))
			}
		}
	})
	return g
}

func TestAGroupCountsProcesses(t *testing.T) {
	t.Parallel()
	g := newGroup(t, func(g *sandbox.Group) { g.Processes = 30 })
	if g == nil {
		return
	}
	p := newPlace(t)
	p.want([]string{"fork 40"}, "done")
	p.Group = g
	p.want([]string{"fork 40"}, "resource temporarily unavailable")
}

func TestOnlyAGroupThatRunsOutOfMemoryLosesAProcess(t *testing.T) {
	t.Parallel()
	g := newGroup(t, func(g *sandbox.Group) { g.Memory, g.Total = 96<<20, 1<<30 })
	if g == nil {
		return
	}
	p := newPlace(t)
	p.want([]string{"eat 192"}, "done")
	p.Group = g
	if out, err := p.run("eat 192"); err == nil || !strings.Contains(err.Error(), "signal: killed") {
		t.Errorf("192 MiB in a group of 96: %q, %v", out, err)
	}
	if s := g.Shortage(); s != (sandbox.Shortage{Kills: 1, Own: true}) {
		t.Errorf("counted %+v", s)
	}
	p.want([]string{"eat 8"}, "done")
	if s := g.Shortage(); s.Kills != 1 {
		t.Errorf("counted %+v", s)
	}
}

func TestSharedMemoryHasRoomForAGroupsLimitAtMost(t *testing.T) {
	t.Parallel()
	g := newGroup(t, func(g *sandbox.Group) { g.Memory = 96 << 20 })
	if g == nil {
		return
	}
	p := newPlace(t)
	p.Mounts, p.Group = true, g
	p.want([]string{"size /dev/shm"}, fmt.Sprint(96<<20))
}

func TestAllGroupsOfAServerHaveALimitTogether(t *testing.T) {
	t.Parallel()
	g := newGroup(t, func(g *sandbox.Group) { g.Memory, g.Total = 1<<30, 96<<20 })
	if g == nil {
		return
	}
	p := newPlace(t)
	p.Group = g
	if out, err := p.run("eat 192"); err == nil || !strings.Contains(err.Error(), "signal: killed") {
		t.Errorf("192 MiB in groups of 96 together: %q, %v", out, err)
	}
	if s := g.Shortage(); s != (sandbox.Shortage{Kills: 1}) { // it was not its own limit
		t.Errorf("counted %+v", s)
	}
}

func TestNothingEscapesTheEndOfAGroup(t *testing.T) {
	t.Parallel()
	for name, without := range map[string]func(dir string) bool{
		"at once":    func(string) bool { return false },
		"one by one": ofVersionTwo, // as on systems without it
	} {
		none := false
		g := newGroup(t, func(g *sandbox.Group) {
			some := slices.DeleteFunc(slices.Clone(g.Dirs), without)
			if none = len(some) == 0; !none {
				g.Dirs = some
			}
		})
		if g == nil {
			return
		}
		if none {
			t.Log("there is no version 1 here, and so nothing is killed", name)
		}
		if name == "one by one" && !none && slices.ContainsFunc(g.Dirs, canKill) {
			t.Errorf("%v can be killed at once", g.Dirs)
		}
		p := newPlace(t)
		p.Group = g
		var left []int
		for _, pid := range p.tries("escape", "escape", "escape") {
			n, err := strconv.Atoi(pid)
			if err != nil {
				t.Fatal(err)
			}
			left = append(left, n)
		}
		for _, dir := range g.Dirs { // as a session makes them that owns its group
			if err := os.MkdirAll(filepath.Join(dir, "below", "it"), 0o755); err != nil {
				t.Fatal(err)
			}
		}
		for _, pid := range left {
			if !lives(pid) {
				t.Errorf("%s: process %d did not escape", name, pid)
			}
		}
		if err := g.Remove(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		for _, pid := range left {
			if lives(pid) {
				t.Errorf("%s: process %d lives", name, pid)
			}
		}
	}
}

// ofVersionTwo reports whether a hierarchy is of version 2.
func ofVersionTwo(dir string) bool {
	_, err := os.Stat(filepath.Join(filepath.Dir(filepath.Dir(dir)), "cgroup.controllers"))
	return err == nil
}

func canKill(dir string) bool {
	_, err := os.Stat(filepath.Join(dir, "cgroup.kill"))
	return err == nil
}

func lives(pid int) bool {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err == nil && !strings.Contains(string(b), ") Z ")
}

func TestGroupsComeAndGoBesideEachOther(t *testing.T) {
	t.Parallel()
	g := newGroup(t, nil)
	if g == nil {
		return
	}
	if err := g.Remove(); err != nil {
		t.Fatal(err)
	}
	var working sync.WaitGroup
	for n := range 8 {
		working.Go(func() {
			g := &sandbox.Group{Memory: 64 << 20, Dirs: slices.Clone(g.Dirs)}
			for i, dir := range g.Dirs {
				g.Dirs[i] = filepath.Join(filepath.Dir(dir), strconv.Itoa(n))
			}
			for range 20 {
				if err := g.Make(); err != nil {
					t.Error(err)
				}
				if err := g.Remove(); err != nil {
					t.Error(err)
				}
			}
		})
	}
	working.Wait()
}

func TestATrialThatWasCutShortIsSweptByTheNextOne(t *testing.T) {
	t.Parallel()
	g := newGroup(t, nil)
	if g == nil {
		return
	}
	data := t.TempDir()
	trial := func(name string) string {
		dir := filepath.Join(data, ".sandbox-"+name)
		doc, err := json.Marshal(g)
		if err == nil {
			err = os.Mkdir(dir, 0o700)
		}
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, "group.json"), doc, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
		return dir
	}
	going := trial("1")
	lock, err := flock.Acquire(filepath.Join(going, "lock"))
	if err != nil {
		t.Fatal(err)
	}
	find := func() {
		if _, err := sandbox.Detect(t.Context(), setup(t, data, sandbox.System(data))); err != nil {
			t.Fatal(err)
		}
	}
	find()
	if _, err := os.Stat(g.Dirs[0]); err != nil {
		t.Error("a trial that goes on was swept:", err)
	}
	lock.Release()
	find()
	left, err := filepath.Glob(filepath.Join(data, ".sandbox-*"))
	if err != nil || len(left) > 0 {
		t.Error("left behind:", left, err)
	}
	for _, dir := range g.Dirs {
		if _, err := os.Stat(dir); err == nil {
			t.Errorf("%s is left", dir)
		}
	}
}

func TestOnlyGroupsOfOursAreMadeAndRemoved(t *testing.T) {
	t.Parallel()
	for _, dir := range []string{"", "/", "one", "/sys/fs/cgroup/one", "/sys/fs/cgroup/ergane-x/../one", "ergane-x/one", "/sys/fs/cgroup/" + sandbox.ServerLeaf + "/one"} {
		g := sandbox.Group{Dirs: []string{"/sys/fs/cgroup/ergane-x/one", dir}}
		if g.Make() == nil || g.Remove() == nil {
			t.Errorf("%q is a group", dir)
		}
	}
	if (&sandbox.Group{}).Make() == nil {
		t.Error("a group without folders")
	}
}

const (
	mountsOfTwo    = "30 23 0:26 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate\n22 1 0:5 / /proc rw - proc proc rw\n"
	mountsOfHybrid = "31 23 0:27 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n" +
		"32 23 0:28 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n33 23 0:29 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n" +
		"34 23 0:30 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,name=systemd\n"
	mountsOfDocker = "40 39 0:29 /docker/ab /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory\n" +
		"41 39 0:30 /docker/ab /sys/fs/cgroup/pids ro - cgroup cgroup rw,pids\n"
)

func TestWhereControlGroupsAre(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ groups, mounts, want string }{
		"version 2":                {"0::/system.slice/ergane.service\n", mountsOfTwo, "[[] /sys/fs/cgroup/system.slice/ergane.service /sys/fs/cgroup]"},
		"a container's version 2":  {"0::/\n", mountsOfTwo, "[[] /sys/fs/cgroup /sys/fs/cgroup]"},
		"both":                     {"4:memory:/a\n3:cpu,cpuacct:/b\n1:name=systemd:/c\n0::/c\n", mountsOfHybrid, "[[] /sys/fs/cgroup/unified/c /sys/fs/cgroup/unified] [[cpu cpuacct] /sys/fs/cgroup/cpu,cpuacct/b /sys/fs/cgroup/cpu,cpuacct] [[memory] /sys/fs/cgroup/memory/a /sys/fs/cgroup/memory] [[name=systemd] /sys/fs/cgroup/systemd/c /sys/fs/cgroup/systemd]"},
		"a part of version 1":      {"4:memory:/docker/ab/x\n3:pids:/docker/ab\n", mountsOfDocker, "[[memory] /sys/fs/cgroup/memory/x /sys/fs/cgroup/memory] [[pids] /sys/fs/cgroup/pids /sys/fs/cgroup/pids]"},
		"another part":             {"4:memory:/docker/abc\n3:pids:/\n", mountsOfDocker, ""},
		"outside of its namespace": {"0::/../x\n", strings.Replace(mountsOfTwo, " / ", " /y ", 1), ""},
		"none":                     {"", mountsOfTwo, ""},
	} {
		found, err := sandbox.Parse(strings.NewReader(c.groups), strings.NewReader(c.mounts))
		var got []string
		for _, h := range found {
			got = append(got, fmt.Sprintf("[%v %s %s]", h.Controllers, h.Own, h.Top))
		}
		if err != nil || strings.Join(got, " ") != c.want {
			t.Errorf("%s: %v, %v", name, got, err)
		}
	}
}

func TestWhereGroupsOfVersionTwoCanBeMade(t *testing.T) {
	t.Parallel()
	const top = "/sys/fs/cgroup"
	for own, want := range map[string]struct {
		base    string
		systemd bool // it may be the system's manager
	}{
		top:                    {top, true},
		top + "/openrc.ergane": {top + "/openrc.ergane", false},
		top + "/system.slice/ergane.service/ergane-server": {top + "/system.slice/ergane.service", true},
		top + "/ergane-server":                             {top, true},
	} {
		for _, systemd := range []bool{true, false} {
			base, err := sandbox.Base(own, top, systemd)
			if base != want.base || (err == nil) != (want.systemd || !systemd) {
				t.Errorf("%s, systemd %t: %s, %v", own, systemd, base, err)
			}
		}
	}
	if _, err := sandbox.Base(top+"/system.slice/ergane.service", top, true); err == nil || !strings.Contains(err.Error(), "DelegateSubgroup=ergane-server") {
		t.Errorf("the error does not say what to do: %v", err)
	}
}

// files makes a folder with files in it that look like a group's.
func files(t *testing.T, content map[string]string) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "ergane-x", "one")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for name, text := range content {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestControllersAreEnabledOnce(t *testing.T) {
	t.Parallel()
	dir := files(t, map[string]string{"cgroup.controllers": "cpuset memory pids\n", "cgroup.subtree_control": "pids\n"})
	if err := sandbox.Enable(dir); err != nil {
		t.Fatal(err)
	}
	if b, err := os.ReadFile(filepath.Join(dir, "cgroup.subtree_control")); err != nil || string(b) != "+memory" {
		t.Errorf("%q, %v", b, err)
	}
}

func TestBothVersionsCountShortages(t *testing.T) {
	t.Parallel()
	two := files(t, map[string]string{"memory.events": "low 0\nhigh 7\nmax 9\noom 3\noom_kill 2\noom_group_kill 1\n"})
	one := files(t, map[string]string{"memory.oom_control": "oom_kill_disable 0\nunder_oom 0\noom_kill 5\n", "memory.max_usage_in_bytes": "100663296\n", "memory.limit_in_bytes": "100663296\n"})
	near := files(t, map[string]string{"memory.events": "oom 0\noom_kill 1\n"})
	far := files(t, map[string]string{"memory.oom_control": "oom_kill 1\n", "memory.max_usage_in_bytes": "99000000\n", "memory.limit_in_bytes": "100663296\n"})
	for dir, want := range map[string]sandbox.Shortage{two: {Kills: 2, Own: true}, one: {Kills: 5, Own: true}, near: {Kills: 1}, far: {Kills: 1}, t.TempDir(): {}} {
		if got := (&sandbox.Group{Dirs: []string{dir}}).Shortage(); got != want {
			t.Errorf("%+v, want %+v", got, want)
		}
	}
	if got := (*sandbox.Group)(nil).Shortage(); got != (sandbox.Shortage{}) {
		t.Errorf("of no group %+v", got)
	}
}

// The group is one of the real version 2, if there is one that can be written.
func TestProcessesAreMovedToTheServersGroupInVersionTwo(t *testing.T) {
	t.Parallel()
	g := newGroup(t, nil)
	if g == nil {
		return
	}
	for _, dir := range g.Dirs {
		if _, err := os.Stat(filepath.Join(dir, "cgroup.kill")); err != nil {
			continue
		}
		p := newPlace(t)
		p.Group = g
		pid := p.tries("escape")[0]
		leaf := filepath.Join(dir, sandbox.ServerLeaf)
		for range 2 { // the second time it is there already
			if err := sandbox.Vacate(dir); err != nil {
				t.Fatal(err)
			}
		}
		for at, want := range map[string]string{dir: "", leaf: pid} {
			if b, err := os.ReadFile(filepath.Join(at, "cgroup.procs")); err != nil || strings.TrimSpace(string(b)) != want {
				t.Errorf("%s has %q, %v", at, b, err)
			}
		}
		begun := time.Now()
		if err := g.Remove(); err != nil {
			t.Error(err, time.Since(begun))
		}
	}
}
