// Package engine holds the installed PySparks: how they are installed, how
// their kernels and JVMs are started, and which properties a session may set.
//
// An engine is a folder that describes itself:
//
//	<engine dir>/<id>.lock        held by a running setup
//	<engine dir>/<id>/engine.json written last: the engine is complete
//	                  steps/      one marker per finished step of the setup
//	                  venv/       Python, its packages and PySpark
//	                  jars/       Spark's connector to S3
//	                  formats/    a folder of jars for each table format that was asked for
//	                  conf/       log4j2.properties
//	                  archive/    the class data archive of exactly this JVM and class path
//	                  kernel-…/   the kernel's source, named by its content
//	                  truststore.jks  setup.log
package engine

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// ErrNotInstalled says that the engine's folder is missing or not complete.
var ErrNotInstalled = errors.New("the engine is not installed")

const manifestFile = "engine.json"

// manifest is what engine.json holds.
type manifest struct {
	Version     int        `json:"v"`
	Spark       string     `json:"spark"`
	Python      pythonInfo `json:"python"`
	Java        javaInfo   `json:"java"`
	Archive     archive    `json:"archive"`
	Kernel      string     `json:"kernel,omitempty"` // folder of the kernel's source
	InstalledAt time.Time  `json:"installed_at"`
}

// An Engine is an installed PySpark. It does not change while it is open.
type Engine struct {
	spec Spec
	dir  string
	made manifest
	jars []string // the class path, in its order
}

// Open opens the engine that was installed in a folder of engines. The error is
// ErrNotInstalled if Install can fix it.
func Open(dir string, spec Spec) (*Engine, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("find the engine folder: %w", err)
	}
	e := &Engine{spec: spec, dir: filepath.Join(dir, spec.ID())}
	if err := readJSON(e.path(manifestFile), &e.made); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNotInstalled, err)
	}
	if e.made.Version != layoutVersion {
		return nil, fmt.Errorf("%w: engine.json has version %d", ErrNotInstalled, e.made.Version)
	}
	e.jars = classPath(e.sparkHome(), e.path("jars"))
	if len(e.jars) == 0 {
		return nil, fmt.Errorf("%w: there are no jars in %s", ErrNotInstalled, e.sparkHome())
	}
	return e, nil
}

// Dir is the engine's folder.
func (e *Engine) Dir() string { return e.dir }

// Spec is what the engine consists of.
func (e *Engine) Spec() Spec { return e.spec }

// PythonVersion and JavaVersion are those of the programs it runs on.
func (e *Engine) PythonVersion() string { return e.made.Python.Version }
func (e *Engine) JavaVersion() string   { return e.made.Java.Version }

// Python is the path of the engine's interpreter, in which PySpark can be imported.
func (e *Engine) Python() string { return e.python() }

func (e *Engine) path(elem ...string) string {
	return filepath.Join(append([]string{e.dir}, elem...)...)
}

func (e *Engine) python() string { return e.path("venv", "bin", "python") }

func (e *Engine) sparkHome() string {
	return e.path("venv", "lib", "python"+e.made.Python.Minor, "site-packages", "pyspark")
}

// scalaVersion is in the names of Spark's jars: spark-core_2.12-3.5.9.jar.
func (e *Engine) scalaVersion() string {
	for _, jar := range e.jars {
		if rest, ok := strings.CutPrefix(filepath.Base(jar), "spark-core_"); ok {
			version, _, _ := strings.Cut(rest, "-")
			return version
		}
	}
	return ""
}

// classPath lists Spark's jars by name, then ours. The order is part of the
// class data archive's identity: with a jar before Spark's it does not work.
func classPath(sparkHome, ours string) []string {
	sparks, _ := filepath.Glob(filepath.Join(sparkHome, "jars", "*.jar"))
	added, _ := filepath.Glob(filepath.Join(ours, "*.jar"))
	slices.Sort(sparks)
	slices.Sort(added)
	if len(sparks) == 0 {
		return nil
	}
	return append(sparks, added...)
}
