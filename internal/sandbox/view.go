package sandbox

import (
	"cmp"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// A View is the part of the file system that a session can see, as absolute paths.
// A more specific path wins over a more general one.
type View struct {
	Read   []string `json:"read"`  // can be read and executed
	Write  []string `json:"write"` // can also be written
	Hidden []string `json:"hidden"`
	// Tmp is the folder that is mounted on /tmp and /var/tmp; without mounts both
	// are the machine's.
	Tmp string `json:"tmp,omitzero"`
}

// system are the paths that programs need. Missing ones are left out.
var system = []string{
	"/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/etc", "/opt", "/nix/store", "/gnu/store",
	"/proc", "/sys",
}

// devices are what programs need of /dev.
var devices = []string{"/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom", "/dev/tty"}

// System is the view with only the system's files, without the folders and files
// that hidden names.
func System(hidden ...string) View {
	v := View{Read: slices.Clone(system), Hidden: withRealPaths(hidden)}
	// If resolv.conf is a link, a service replaces its target, so show the folder.
	if to, err := filepath.EvalSymlinks("/etc/resolv.conf"); err == nil && !within(to, "/etc") {
		v.Read = append(v.Read, filepath.Dir(to))
	}
	return v
}

// AndRead is the view with more paths that can be read.
func (v View) AndRead(paths ...string) View {
	v.Read = append(slices.Clip(v.Read), withRealPaths(paths)...)
	return v
}

// AndWrite is the view with more paths that can be written.
func (v View) AndWrite(paths ...string) View {
	v.Write = append(slices.Clip(v.Write), withRealPaths(paths)...)
	return v
}

// withRealPaths adds the targets of links, because programs open those.
func withRealPaths(paths []string) []string {
	var all []string
	for _, p := range paths {
		p = filepath.Clean(p)
		all = append(all, p)
		if to, err := filepath.EvalSymlinks(p); err == nil && to != p {
			all = append(all, to)
		}
	}
	return all
}

type kind int

const (
	toRead kind = iota
	toWrite
	hidden
	temporary
)

type entry struct {
	path string
	kind kind
}

// entries are the parts of the view, general ones before specific ones, each path once.
func (v View) entries() []entry {
	var all []entry
	// In this order: of entries with the same path the last one wins.
	for _, p := range v.Hidden {
		all = append(all, entry{p, hidden})
	}
	for _, p := range v.Read {
		all = append(all, entry{p, toRead})
	}
	for _, p := range v.Write {
		all = append(all, entry{p, toWrite})
	}
	kinds := map[string]kind{}
	for _, e := range all {
		kinds[e.path] = e.kind
	}
	all = all[:0]
	for p, k := range kinds {
		all = append(all, entry{p, k})
	}
	slices.SortFunc(all, byPath)
	return all
}

// temporaries are the folders in which programs expect to be able to write.
var temporaries = []string{"/tmp", "/var/tmp"}

// withTmp are the entries and the temporary folders, general ones before specific
// ones: a temporary folder covers a readable /var, and an engine in /var/tmp covers
// a part of it. If the view itself names one, that is the machine's.
func (v View) withTmp() []entry {
	all := v.entries()
	if v.Tmp == "" {
		return all
	}
	for _, p := range temporaries {
		if !slices.ContainsFunc(all, func(e entry) bool { return e.path == p }) {
			all = append(all, entry{p, temporary})
		}
	}
	slices.SortFunc(all, byPath)
	return all
}

func byPath(a, b entry) int { return cmp.Compare(a.path, b.path) }

// within: p is dir or below it.
func within(p, dir string) bool {
	return p == dir || dir == "/" || strings.HasPrefix(p, dir+"/")
}

// around lists what is in p except the parts; p itself if it contains none of
// them. It is for Landlock, which can only grant.
func around(p string, parts []string) []string {
	inside := slices.ContainsFunc(parts, func(part string) bool { return within(part, p) })
	if !inside {
		return []string{p}
	}
	if slices.Contains(parts, p) {
		return nil
	}
	names, err := os.ReadDir(p)
	if err != nil {
		return nil
	}
	var all []string
	for _, name := range names {
		if name.Type()&os.ModeSymlink == 0 { // a link's target has its own rule, or none
			all = append(all, around(filepath.Join(p, name.Name()), parts)...)
		}
	}
	return all
}
