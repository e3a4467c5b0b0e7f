package sandbox

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ergane-dev/ergane/internal/child"
)

// A Group is the control group of one session: limits for all of its processes
// together, and a way to kill all of them. Record its Dirs before Make, so that it
// can be removed after a crash.
type Group struct {
	// Dirs are its folders, one in each hierarchy. The folder above each is that of
	// all sessions of the server; it is removed with the last of them.
	Dirs []string `json:"dirs"`
	// Memory is how many bytes it may use, Total how many all sessions of the
	// server may use together; 0 is no limit.
	Memory int64 `json:"memory,omitzero"`
	Total  int64 `json:"total,omitzero"`
	// Processes is how many processes and threads it may have; 0 is no limit.
	Processes int `json:"processes,omitzero"`
}

// group describes a group. all is the name of the folder above it, which only one
// server may use.
func (g Groups) group(all, name string) *Group {
	group := new(Group)
	for _, dir := range g.dirs {
		group.Dirs = append(group.Dirs, filepath.Join(dir, all, name))
	}
	return group
}

// groupPrefix is how the folder of a server's groups begins.
const groupPrefix = "ergane-"

// Check refuses folders that cannot be those of a Group.
func (g *Group) Check() error {
	if len(g.Dirs) == 0 {
		return errors.New("the group has no folder")
	}
	for _, dir := range g.Dirs {
		above := filepath.Dir(dir)
		if !filepath.IsAbs(dir) || filepath.Clean(dir) != dir || !strings.HasPrefix(filepath.Base(above), groupPrefix) || filepath.Base(above) == serverLeaf {
			return fmt.Errorf("%q is not a control group of Ergane's", dir)
		}
	}
	return nil
}

// A limit is a file of a group and the value to write to it. Which files a folder
// has depends on its version and controllers; missing ones are skipped.
type limit struct {
	file     string
	value    int64
	optional bool
}

// limits are those of the session's own folders. Both versions have the file for
// processes. Sessions get no swap: it would only delay their end.
func (g *Group) limits() []limit {
	return []limit{
		{"memory.max", g.Memory, false}, {"memory.swap.max", 0, true},
		{"memory.limit_in_bytes", g.Memory, false}, {"memory.memsw.limit_in_bytes", g.Memory, true},
		{"pids.max", int64(g.Processes), false},
	}
}

// totals are those of the folders above. Version 1 cannot set a limit below the
// present use; the next session tries again.
func (g *Group) totals() []limit {
	return []limit{{"memory.max", g.Total, true}, {"memory.limit_in_bytes", g.Total, true}}
}

func setLimits(dir string, limits []limit) error {
	for _, l := range limits {
		if l.value == 0 && l.file != "memory.swap.max" {
			continue
		}
		err := set(dir, l.file, strconv.FormatInt(l.value, 10))
		if err != nil && !l.optional && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// limited reports whether the group has this limit of memory.
func (g *Group) limited(bytes int64) bool {
	return slices.ContainsFunc(g.Dirs, func(dir string) bool {
		return count(filepath.Join(dir, "memory.max"), "") == bytes || count(filepath.Join(dir, "memory.limit_in_bytes"), "") == bytes
	})
}

// Make makes the group, empty. After an error nothing of it is left.
func (g *Group) Make() error {
	if err := g.Check(); err != nil {
		return err
	}
	for _, dir := range g.Dirs {
		err := g.makeFolder(dir)
		for range 100 { // another session may be removing the folder above just now
			if !errors.Is(err, fs.ErrNotExist) {
				break
			}
			err = g.makeFolder(dir)
		}
		if err != nil {
			return errors.Join(err, g.Remove())
		}
	}
	return nil
}

func (g *Group) makeFolder(dir string) error {
	above := filepath.Dir(dir)
	if err := os.Mkdir(above, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	if err := enable(above); err != nil {
		return err
	}
	if err := setLimits(above, g.totals()); err != nil {
		return err
	}
	if err := os.Mkdir(dir, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return setLimits(dir, g.limits())
}

// Yield gives the group the lowest share of the processors, or the same as other
// groups again. It has an effect only in version 2.
func (g *Group) Yield(yes bool) {
	weight := "100" // every group's, unless it is set
	if yes {
		weight = "1"
	}
	for _, dir := range g.Dirs {
		set(dir, "cpu.weight", weight) // not all folders have it
	}
}

// join adds this process to the group, and so its future children.
func (g *Group) join() error {
	for _, dir := range g.Dirs {
		if err := set(dir, "cgroup.procs", "0"); err != nil {
			return err
		}
	}
	return nil
}

// Kill kills every process in the group, whoever's child it is.
func (g *Group) Kill() {
	for _, dir := range g.Dirs {
		if set(dir, "cgroup.kill", "1") == nil { // version 2, from Linux 5.14
			return
		}
	}
	for _, dir := range g.Dirs {
		set(dir, "pids.max", "0") // so that none is added while they are killed one by one
	}
	for _, dir := range g.Dirs {
		for _, sub := range folders(dir) {
			for _, pid := range list(sub, "cgroup.procs") {
				g.killMember(pid)
			}
		}
	}
}

// killMember kills a process if it is in the group. A PID that another process
// got meanwhile is not killed: see child.KillIf.
func (g *Group) killMember(number string) {
	if pid, err := strconv.Atoi(number); err == nil && pid > 1 {
		child.KillIf(pid, func() bool { return g.has(pid) })
	}
}

func (g *Group) has(pid int) bool {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/cgroup", pid))
	return err == nil && g.memberships(string(b)) > 0
}

// memberships counts the hierarchies in which a process is in the group; text is
// its /proc/PID/cgroup.
func (g *Group) memberships(text string) (n int) {
	if len(g.Dirs) == 0 {
		return 0
	}
	above, name := filepath.Split(g.Dirs[0])
	mark := "/" + filepath.Base(above) + "/" + name
	for line := range strings.Lines(text) {
		if strings.Contains(strings.TrimSuffix(line, "\n")+"/", mark+"/") {
			n++
		}
	}
	return n
}

// removeLimit is how long killed processes of a group may take to end.
const removeLimit = 5 * time.Second

// Remove kills all processes in the group and removes it; a missing group is no error.
func (g *Group) Remove() error {
	if err := g.Check(); err != nil {
		return err
	}
	deadline := time.Now().Add(removeLimit)
	for wait := time.Millisecond / 2; ; wait = min(2*wait, 20*time.Millisecond) {
		err := g.rmdir()
		if err == nil {
			return nil
		}
		if time.Now().After(deadline) {
			return err
		}
		g.Kill()
		time.Sleep(wait)
	}
}

func (g *Group) rmdir() error {
	var failed error
	for _, dir := range g.Dirs {
		for _, sub := range folders(dir) {
			if err := unix.Rmdir(sub); err != nil && !errors.Is(err, fs.ErrNotExist) {
				failed = &os.PathError{Op: "rmdir", Path: sub, Err: err}
			}
		}
		unix.Rmdir(filepath.Dir(dir)) // fails while there are others
	}
	return failed
}

// folders lists a folder and those below it, which sessions that can write there
// may have made, the lowest first.
func folders(dir string) (all []string) {
	filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err == nil && e.IsDir() {
			all = append(all, path)
		}
		return nil
	})
	slices.Reverse(all)
	return all
}
