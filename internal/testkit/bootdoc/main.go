// Command bootdoc prints how the installed default engine starts a kernel with
// Spark, for the kernel's own tests, which know nothing of engines:
//
//	bootdoc ENGINE_DIR WORK_DIR  →  {"python": …, "java": {"argv", "env"}, "spark": {…}}
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"

	"github.com/ergane-dev/ergane/internal/engine"
)

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: bootdoc ENGINE_DIR WORK_DIR")
		os.Exit(2)
	}
	if err := run(os.Args[1], os.Args[2]); err != nil {
		fmt.Fprintln(os.Stderr, "bootdoc: "+err.Error())
		os.Exit(1)
	}
}

func run(engineDir, workDir string) error {
	table, err := engine.DefaultTable()
	if err != nil {
		return err
	}
	spec, _, err := table.Resolve(engine.Auto)
	if err != nil {
		return err
	}
	e, err := engine.Open(engineDir, spec)
	if err != nil {
		return err
	}
	for _, sub := range []string{"tmp", "java"} { // as a kernel's start makes them
		if err := os.MkdirAll(filepath.Join(workDir, sub), 0o700); err != nil {
			return err
		}
	}
	launch, err := e.Launch(engine.LaunchSpec{WorkDir: workDir})
	if err != nil {
		return err
	}
	out := json.NewEncoder(os.Stdout)
	out.SetIndent("", "  ")
	return out.Encode(map[string]any{"python": e.Python(), "java": launch.Java, "spark": launch.Spark})
}
