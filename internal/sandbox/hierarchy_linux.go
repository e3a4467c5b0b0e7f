package sandbox

import (
	"bufio"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// A hierarchy is a tree of control groups, as this process sees it. Linux has one
// of version 2, whose files name its controllers, and may have some of version 1,
// each with one or a few controllers.
type hierarchy struct {
	controllers []string // of version 1; nil is version 2
	top         string   // the folder of the highest visible group
	own         string   // the folder of this process's group
}

// hierarchies finds them, see cgroups(7).
func hierarchies() ([]hierarchy, error) {
	groups, err := os.Open("/proc/self/cgroup")
	if err != nil {
		return nil, err
	}
	defer groups.Close()
	mounts, err := os.Open("/proc/self/mountinfo")
	if err != nil {
		return nil, err
	}
	defer mounts.Close()
	return parseHierarchies(groups, mounts)
}

func parseHierarchies(groups, mounts io.Reader) ([]hierarchy, error) {
	own := map[string]string{} // by controller; "" is version 2
	lines := bufio.NewScanner(groups)
	for lines.Scan() {
		if number, rest, ok := strings.Cut(lines.Text(), ":"); ok {
			controllers, path, _ := strings.Cut(rest, ":")
			for c := range strings.SplitSeq(controllers, ",") {
				if c != "" || number == "0" {
					own[c] = path
				}
			}
		}
	}
	var found []hierarchy
	seen := map[string]bool{}
	mounted := bufio.NewScanner(mounts)
	for mounted.Scan() {
		front, back, _ := strings.Cut(mounted.Text(), " - ")
		where, kind := strings.Fields(front), strings.Fields(back)
		if len(where) < 5 || len(kind) < 3 {
			continue
		}
		var h hierarchy
		key := ""
		switch kind[0] {
		case "cgroup2":
		case "cgroup":
			for option := range strings.SplitSeq(kind[2], ",") {
				if _, ok := own[option]; ok {
					h.controllers = append(h.controllers, option)
				}
			}
			if len(h.controllers) == 0 {
				continue
			}
			key = h.controllers[0]
		default:
			continue
		}
		path, there := own[key]
		root := where[3]
		if !there || !within(path, root) || seen[key] { // another namespace's, or mounted twice
			continue
		}
		seen[key] = true
		h.top = where[4]
		h.own = filepath.Join(h.top, strings.TrimPrefix(path, strings.TrimSuffix(root, "/")))
		found = append(found, h)
	}
	return found, errors.Join(lines.Err(), mounted.Err())
}

// find returns the hierarchy of a controller of version 1, or that of version 2 for "".
func find(all []hierarchy, controller string) (hierarchy, bool) {
	at := slices.IndexFunc(all, func(h hierarchy) bool {
		return controller == "" && h.controllers == nil || slices.Contains(h.controllers, controller)
	})
	if at < 0 {
		return hierarchy{}, false
	}
	return all[at], true
}
