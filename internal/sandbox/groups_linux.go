package sandbox

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// Groups is where this process may make control groups: a folder in each
// hierarchy of them that is of use.
type Groups struct{ dirs []string }

// serverLeaf is the group that the server itself is in, where version 2 wants
// it to be out of the way: a group whose children have limits may have no
// process of its own. systemd puts it there with DelegateSubgroup=.
const serverLeaf = "ergane-server"

// wanted are the controllers of version 2 that sessions get. cpu has no
// setting: by itself it gives each group the same weight.
var wanted = []string{"cpu", "memory", "pids"}

// findGroups finds out where groups can be made, and prepares the place. The
// error says why they cannot.
func findGroups() (Groups, error) {
	all, err := hierarchies()
	if err != nil {
		return Groups{}, err
	}
	two, ok := find(all, "")
	_, booted := os.Stat("/run/systemd/system")
	base, why := two.base(booted == nil)
	switch {
	case !ok:
		why = errors.New("no control groups were found")
	case why == nil:
		why = writable(base)
	}
	if ok && slices.Contains(list(base, "cgroup.controllers"), "memory") {
		if why == nil {
			why = enable(base)
		}
		return Groups{[]string{base}}, why
	}
	one, ok := find(all, "memory")
	if !ok {
		if why == nil {
			why = fmt.Errorf("%s has no memory controller", base)
		}
		return Groups{}, why
	}
	if err := writable(one.own); err != nil {
		return Groups{}, err
	}
	g := Groups{[]string{one.own}}
	// In version 1 each limit is a hierarchy's of its own, and version 2, which
	// is there beside it and limits nothing then, can kill a whole group.
	if pids, ok := find(all, "pids"); ok && pids.own != one.own && writable(pids.own) == nil {
		g.dirs = append(g.dirs, pids.own)
	}
	if why == nil {
		g.dirs = append(g.dirs, base)
	}
	return g, nil
}

// base is the group of version 2 below which there is room for ours. systemd
// tolerates nobody beside it but in groups that it has given away.
func (h hierarchy) base(systemd bool) (string, error) {
	switch {
	case h.own != h.top && filepath.Base(h.own) == serverLeaf:
		return filepath.Dir(h.own), nil
	case h.own != h.top && systemd:
		return h.own, fmt.Errorf("systemd has not delegated %s: the unit needs Delegate=yes and DelegateSubgroup=%s (systemd 254)", h.own, serverLeaf)
	}
	return h.own, nil
}

func writable(dir string) error {
	if err := unix.Access(dir, unix.W_OK); err != nil {
		return &os.PathError{Op: "write to", Path: dir, Err: err}
	}
	return nil
}

// enable gives the groups below a group of version 2 their controllers. The
// processes in it move to a group below, if they are in the way.
func enable(base string) error {
	on := list(base, "cgroup.subtree_control")
	for _, c := range list(base, "cgroup.controllers") {
		if !slices.Contains(wanted, c) || slices.Contains(on, c) {
			continue
		}
		err := set(base, "cgroup.subtree_control", "+"+c)
		for range 10 { // they may fork while they are moved
			if !errors.Is(err, unix.EBUSY) {
				break
			}
			if err := vacate(base); err != nil {
				return err
			}
			err = set(base, "cgroup.subtree_control", "+"+c)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// vacate moves every process of a group to the one that is for servers.
func vacate(base string) error {
	leaf := filepath.Join(base, serverLeaf)
	if err := os.Mkdir(leaf, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	for _, pid := range list(base, "cgroup.procs") {
		if err := set(leaf, "cgroup.procs", pid); err != nil && !errors.Is(err, unix.ESRCH) {
			return err
		}
	}
	return nil
}

// list reads the words of a group's file; none where it is not there.
func list(dir, file string) []string {
	b, err := os.ReadFile(filepath.Join(dir, file))
	if err != nil {
		return nil
	}
	return strings.Fields(string(b))
}

// set writes to a group's file, which is never made by that.
func set(dir, file, value string) error {
	f, err := os.OpenFile(filepath.Join(dir, file), os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteString(value)
	return errors.Join(err, f.Close())
}
