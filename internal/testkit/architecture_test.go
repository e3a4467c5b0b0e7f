package testkit_test

import (
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// The table of docs/architecture.md has every package of internal/, and each
// package has a comment.
func TestEveryPackageIsInTheTableAndHasAComment(t *testing.T) {
	t.Parallel()
	root := filepath.Join("..", "..")
	table, err := os.ReadFile(filepath.Join(root, "docs", "architecture.md"))
	if err != nil {
		t.Fatal(err)
	}
	packages, err := os.ReadDir(filepath.Join(root, "internal"))
	if err != nil || len(packages) == 0 {
		t.Fatalf("%d packages, %v", len(packages), err)
	}
	for _, pkg := range packages {
		if !pkg.IsDir() {
			continue
		}
		if !strings.Contains(string(table), "\n| `internal/"+pkg.Name()+"` |") {
			t.Errorf("internal/%s is not in the table of docs/architecture.md", pkg.Name())
		}
		files, err := filepath.Glob(filepath.Join(root, "internal", pkg.Name(), "*.go"))
		if err != nil {
			t.Fatal(err)
		}
		documented := false
		for _, file := range files {
			parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.PackageClauseOnly|parser.ParseComments)
			if err != nil {
				t.Fatal(err)
			}
			documented = documented || parsed.Doc != nil && !strings.HasSuffix(file, "_test.go")
		}
		if !documented && len(files) > 0 {
			t.Errorf("package %s has no comment that says what it is for", pkg.Name())
		}
	}
}

// Which packages must not import which: the domain imports none, and adapters
// import neither each other nor the packages above them.
func TestPackagesImportDownwardsOnly(t *testing.T) {
	t.Parallel()
	const module = "github.com/ergane-dev/ergane"
	never := map[string][]string{
		".":                    {"/internal/", "/cmd/"},
		"internal/store":       {"/internal/session", "/internal/api", "/internal/host", "/internal/server", "/internal/kernel", "/internal/engine"},
		"internal/kernel":      {"/internal/session", "/internal/api", "/internal/host", "/internal/server", "/internal/engine", "/internal/store"},
		"internal/engine":      {"/internal/session", "/internal/api", "/internal/host", "/internal/server", "/internal/kernel", "/internal/store"},
		"internal/objects":     {"/internal/session", "/internal/api", "/internal/host", "/internal/server", "/internal/kernel", "/internal/store"},
		"internal/session":     {"/internal/api", "/internal/host", "/internal/server", "/internal/kernel", "/internal/engine", "/internal/store", "/internal/objects"},
		"internal/awsjson":     {"/internal/athena", "/internal/api", "/internal/session", "/internal/server"},
		"internal/api":         {"/internal/host", "/internal/server", "/internal/kernel", "/internal/engine", "/internal/store", "/internal/objects"},
		"internal/host":        {"/internal/api", "/internal/server", "/internal/store"},
		"internal/server":      {"/cmd/"},
		"internal/datadir":     {"/internal/session", "/internal/api", "/internal/host", "/internal/server", "/internal/kernel", "/internal/engine", "/internal/store"},
		"internal/sandbox":     {"/internal/session", "/internal/api", "/internal/host", "/internal/server", "/internal/kernel", "/internal/engine", "/internal/store"},
		"internal/metastore":   {"/internal/session", "/internal/api", "/internal/host", "/internal/server", "/internal/kernel", "/internal/engine", "/internal/store"},
		"internal/credentials": {"/internal/session", "/internal/api", "/internal/host", "/internal/server"},
	}
	for pkg, refused := range never {
		files, err := filepath.Glob(filepath.Join("..", "..", pkg, "*.go"))
		if err != nil || len(files) == 0 {
			t.Fatalf("%s: %d files, %v", pkg, len(files), err)
		}
		for _, file := range files {
			if strings.HasSuffix(file, "_test.go") {
				continue
			}
			parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ImportsOnly)
			if err != nil {
				t.Fatal(err)
			}
			for _, imported := range parsed.Imports {
				path := strings.Trim(imported.Path.Value, `"`)
				for _, r := range refused {
					if strings.HasPrefix(path, module+r) {
						t.Errorf("%s imports %s", filepath.Join(pkg, filepath.Base(file)), path)
					}
				}
			}
		}
	}
}
