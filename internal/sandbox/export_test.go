package sandbox

import (
	"io"
)

// For the tests.
var (
	Listed = listed
	Enable = enable
	Vacate = vacate
)

// ServerLeaf is serverLeaf.
const ServerLeaf = serverLeaf

// Parse describes each hierarchy: its controllers, the folder of this process's
// group and that of the highest group.
func Parse(groups, mounts io.Reader) (all []struct {
	Controllers []string
	Own, Top    string
}, err error) {
	found, err := parseHierarchies(groups, mounts)
	for _, h := range found {
		all = append(all, struct {
			Controllers []string
			Own, Top    string
		}{h.controllers, h.own, h.top})
	}
	return all, err
}

// Base is the group of version 2 below which groups can be made.
func Base(own, top string, systemd bool) (string, error) {
	return hierarchy{own: own, top: top}.base(systemd)
}
