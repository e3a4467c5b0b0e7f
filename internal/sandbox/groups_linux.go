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

// Groups are the folders in which this process can make control groups, one in
// each hierarchy that is needed.
type Groups struct{ dirs []string }

// serverLeaf is the group of the server itself in version 2, in which a group
// whose children have limits must have no process. systemd starts the server there
// with DelegateSubgroup=.
const serverLeaf = "ergane-server"

// wanted are the controllers of version 2 that sessions get. cpu needs no setting:
// it gives each group the same weight.
var wanted = []string{"cpu", "memory", "pids"}

// findGroups finds where groups can be made and enables the controllers there. The
// error says why none can be made.
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
	// In version 1 each limit has its own hierarchy. The one of version 2 beside
	// them has no limits then, but can kill a whole group.
	if pids, ok := find(all, "pids"); ok && pids.own != one.own && writable(pids.own) == nil {
		g.dirs = append(g.dirs, pids.own)
	}
	if why == nil {
		g.dirs = append(g.dirs, base)
	}
	return g, nil
}

// base is the group of version 2 below which new ones can be made. With systemd
// that must be a group that it has delegated.
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

// enable enables the controllers for the groups below a group of version 2. If
// processes in it prevent that, it moves them to a group below.
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

// vacate moves every process of a group to serverLeaf.
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

// list reads the words of a group's file; none if the file is missing.
func list(dir, file string) []string {
	b, err := os.ReadFile(filepath.Join(dir, file))
	if err != nil {
		return nil
	}
	return strings.Fields(string(b))
}

// set writes to a group's file, which must exist.
func set(dir, file, value string) error {
	f, err := os.OpenFile(filepath.Join(dir, file), os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteString(value)
	return errors.Join(err, f.Close())
}
