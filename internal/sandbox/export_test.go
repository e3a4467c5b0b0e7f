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

// Parse tells, of each hierarchy, its controllers, and the folder of our group
// and the uppermost one.
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

// Base is where version 2 has room for our groups.
func Base(own, top string, systemd bool) (string, error) {
	return hierarchy{own: own, top: top}.base(systemd)
}
