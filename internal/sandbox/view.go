package sandbox

import (
	"cmp"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// A View is the part of the file system that a session's code has, by
// absolute paths. A more specific path wins over a more general one.
type View struct {
	Read   []string `json:"read"`  // to read and to execute
	Write  []string `json:"write"` // to write, too
	Hidden []string `json:"hidden"`
	// Tmp is the folder that /tmp and /var/tmp are where there are mounts;
	// without them both are everybody's.
	Tmp string `json:"tmp,omitzero"`
}

// system is what programs need of the machine. What is not there is left out.
var system = []string{
	"/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/etc", "/opt", "/nix/store", "/gnu/store",
	"/proc", "/sys",
}

// devices are what programs need of /dev.
var devices = []string{"/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom", "/dev/tty"}

// System is the view of a process that needs nothing of its own. What hidden
// names, and is inside of it, is left out: folders or files.
func System(hidden ...string) View {
	v := View{Read: slices.Clone(system), Hidden: withRealPaths(hidden)}
	// A resolv.conf that is a link leads to where its keeper replaces it.
	if to, err := filepath.EvalSymlinks("/etc/resolv.conf"); err == nil && !within(to, "/etc") {
		v.Read = append(v.Read, filepath.Dir(to))
	}
	return v
}

// AndRead is the view with more to read.
func (v View) AndRead(paths ...string) View {
	v.Read = append(slices.Clip(v.Read), withRealPaths(paths)...)
	return v
}

// AndWrite is the view with more to write.
func (v View) AndWrite(paths ...string) View {
	v.Write = append(slices.Clip(v.Write), withRealPaths(paths)...)
	return v
}

// withRealPaths adds where links lead, because programs ask for that.
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
	// In this order: of two that name the same path the last one holds.
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

// temporaries are what programs take for folders that everybody may write.
var temporaries = []string{"/tmp", "/var/tmp"}

// withTmp are the entries and the temporary folders, each in its place: on
// what is more general, such as a /var to read, and below what is more
// specific, such as an engine in /var/tmp. One that the view names itself is
// meant to be the machine's.
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

// around lists what is in p but for the parts named; p itself where none of
// them is in it. It is for Landlock, which can grant but not take away.
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
		if name.Type()&os.ModeSymlink == 0 { // granted where it leads, or not at all
			all = append(all, around(filepath.Join(p, name.Name()), parts)...)
		}
	}
	return all
}
