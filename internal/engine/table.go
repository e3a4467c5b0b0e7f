package engine

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/ergane-dev/ergane"
)

// Auto is the name of a workgroup's engine version that stands for the default.
const Auto = "AUTO"

//go:embed locks
var embedded embed.FS

// A Spec says what an engine consists of: versions and the folder of its lock files.
type Spec struct {
	// Name is a readable identifier and the folder of the lock files: pyspark-3.5.9.
	Name string `json:"id"`
	// Names are the engine versions of Athena that use this engine, as clients write them.
	Names []string `json:"names"`
	// Spark is the version of PySpark, and so of Spark.
	Spark string `json:"spark"`
	// Pythons are the minor versions of Python with a lock file, oldest first.
	Pythons []string `json:"pythons"`
	// PartlyOn are those of Pythons on which some of PySpark does not work.
	PartlyOn []string `json:"partly_on"`
	// Java are the feature versions of Java that it runs on, best first.
	Java []int `json:"java"`
	// DiskBytes is how many bytes must be free for a new installation.
	DiskBytes int64 `json:"disk_bytes"`

	locks  fs.FS
	digest string
}

// ID is the name of the engine's folder. It changes whenever a lock file
// does, so that a newer Ergane never installs into an engine in use.
func (s Spec) ID() string { return s.Name + "-" + s.digest }

// Table lists the engines. It is read from locks/engines.json.
type Table struct {
	Default string `json:"default"`
	Engines []Spec `json:"engines"`
}

// DefaultTable is the table that comes with the binary.
func DefaultTable() (Table, error) {
	locks, err := fs.Sub(embedded, "locks")
	if err != nil {
		return Table{}, err
	}
	return ReadTable(locks)
}

// ReadTable reads engines.json and checks that every engine has its folder of lock files.
func ReadTable(fsys fs.FS) (Table, error) {
	raw, err := fs.ReadFile(fsys, "engines.json")
	if err != nil {
		return Table{}, fmt.Errorf("read engine table: %w", err)
	}
	var t Table
	if err := json.Unmarshal(raw, &t); err != nil {
		return Table{}, fmt.Errorf("read engine table: %w", err)
	}
	for i := range t.Engines {
		s := &t.Engines[i]
		if s.locks, err = fs.Sub(fsys, s.Name); err != nil {
			return Table{}, fmt.Errorf("read engine table: %w", err)
		}
		if s.digest, err = digest(s.locks); err != nil {
			return Table{}, fmt.Errorf("read lock files of %s: %w", s.Name, err)
		}
	}
	if _, _, err := t.Resolve(Auto); err != nil {
		return Table{}, fmt.Errorf("read engine table: the default: %w", err)
	}
	return t, nil
}

// Resolve finds the engine of an engine version, as a client names it. effective
// is the same name, or the default for AUTO. The error of an unknown name has
// ergane.CodeInvalid and lists the known ones.
func (t Table) Resolve(name string) (spec Spec, effective string, err error) {
	effective = name
	if name == Auto || name == "" {
		effective = t.Default
	}
	for _, s := range t.Engines {
		if slices.Contains(s.Names, effective) {
			return s, effective, nil
		}
	}
	return Spec{}, "", ergane.Errorf(ergane.CodeInvalid,
		"Engine version %q is not known. Known versions: %s.", name, strings.Join(t.Names(), ", "))
}

// Versions are the names that Resolve knows, AUTO first, with what each stands for.
func (t Table) Versions() []ergane.EngineVersion {
	var all []ergane.EngineVersion
	for _, name := range t.Names() {
		if _, effective, err := t.Resolve(name); err == nil {
			all = append(all, ergane.EngineVersion{Selected: name, Effective: effective})
		}
	}
	return all
}

// Names lists what Resolve knows, AUTO first.
func (t Table) Names() []string {
	names := []string{Auto}
	for _, s := range t.Engines {
		names = append(names, s.Names...)
	}
	return names
}

// digest is the identity of a folder of lock files: eight hex digits.
// layoutVersion is part of it, so that a new layout is a new engine.
func digest(locks fs.FS) (string, error) {
	sum := sha256.New()
	fmt.Fprintf(sum, "layout %d\n", layoutVersion)
	err := fs.WalkDir(locks, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || path.Ext(name) == ".in" {
			return err
		}
		raw, err := fs.ReadFile(locks, name)
		fmt.Fprintf(sum, "%s %d\n", name, len(raw))
		sum.Write(raw)
		return err
	})
	return hex.EncodeToString(sum.Sum(nil))[:8], err
}
