package engine

import (
	"path/filepath"
)

// Needs are the folders on this machine whose files a session's processes read
// and execute: the engine, and the Python and the Java that it uses.
func (e *Engine) Needs() []string {
	needs := []string{e.dir}
	for _, program := range []string{e.made.Python.Path, e.made.Java.Path} {
		if real, err := filepath.EvalSymlinks(program); err == nil {
			needs = append(needs, filepath.Dir(filepath.Dir(real))) // <home>/bin/java
		}
	}
	return needs
}

// Programs are some files that a session's processes must be able to read: a
// sample to find out whether a user can read the engine.
func (e *Engine) Programs() []string {
	return append([]string{e.python(), e.made.Java.Path, e.path(manifestFile), e.path(e.made.Kernel, "__main__.py")}, e.jars[0], e.jars[len(e.jars)-1])
}
