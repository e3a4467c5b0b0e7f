package testkit_test

import (
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// The table of docs/architecture.md names every room of the house, and each
// says itself what it is for.
func TestEveryPackageIsInTheTableAndSaysWhatItIsFor(t *testing.T) {
	t.Parallel()
	root := filepath.Join("..", "..")
	table, err := os.ReadFile(filepath.Join(root, "docs", "architecture.md"))
	if err != nil {
		t.Fatal(err)
	}
	rooms, err := os.ReadDir(filepath.Join(root, "internal"))
	if err != nil || len(rooms) == 0 {
		t.Fatalf("%d packages, %v", len(rooms), err)
	}
	for _, room := range rooms {
		if !room.IsDir() {
			continue
		}
		if !strings.Contains(string(table), "\n| `internal/"+room.Name()+"` |") {
			t.Errorf("internal/%s is not in the table of docs/architecture.md", room.Name())
		}
		files, err := filepath.Glob(filepath.Join(root, "internal", room.Name(), "*.go"))
		if err != nil {
			t.Fatal(err)
		}
		said := false
		for _, file := range files {
			parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.PackageClauseOnly|parser.ParseComments)
			if err != nil {
				t.Fatal(err)
			}
			said = said || parsed.Doc != nil && !strings.HasSuffix(file, "_test.go")
		}
		if !said && len(files) > 0 {
			t.Errorf("package %s has no comment that says what it is for", room.Name())
		}
	}
}

// Who may know of whom: the domain of nobody, the command line of the server,
// and no adapter of the session manager of another one above it.
func TestPackagesImportDownwardsOnly(t *testing.T) {
	t.Parallel()
	const module = "github.com/ergane-dev/ergane"
	never := map[string][]string{
		".":                    {"/internal/", "/cmd/"},
		"internal/child":       {"/internal/", "/cmd/"},
		"internal/durable":     {"/internal/", "/cmd/"},
		"internal/flock":       {"/internal/", "/cmd/"},
		"internal/store":       {"/internal/session", "/internal/delivery", "/internal/api", "/internal/host", "/internal/server", "/internal/kernel", "/internal/engine"},
		"internal/kernel":      {"/internal/session", "/internal/delivery", "/internal/api", "/internal/host", "/internal/server", "/internal/engine", "/internal/store"},
		"internal/engine":      {"/internal/session", "/internal/delivery", "/internal/api", "/internal/host", "/internal/server", "/internal/kernel", "/internal/store"},
		"internal/objects":     {"/internal/session", "/internal/delivery", "/internal/api", "/internal/host", "/internal/server", "/internal/kernel", "/internal/store"},
		"internal/session":     {"/internal/api", "/internal/host", "/internal/server", "/internal/kernel", "/internal/engine", "/internal/store", "/internal/objects"},
		"internal/delivery":    {"/internal/session", "/internal/api", "/internal/host", "/internal/server", "/internal/kernel", "/internal/engine", "/internal/store", "/internal/objects"},
		"internal/awsjson":     {"/internal/athena", "/internal/api", "/internal/session", "/internal/server"},
		"internal/api":         {"/internal/host", "/internal/server", "/internal/kernel", "/internal/engine", "/internal/store", "/internal/objects"},
		"internal/host":        {"/internal/api", "/internal/server", "/internal/store"},
		"internal/server":      {"/cmd/"},
		"internal/datadir":     {"/internal/session", "/internal/api", "/internal/host", "/internal/server", "/internal/kernel", "/internal/engine", "/internal/store"},
		"internal/sandbox":     {"/internal/session", "/internal/api", "/internal/host", "/internal/server", "/internal/kernel", "/internal/engine", "/internal/store"},
		"internal/metastore":   {"/internal/session", "/internal/api", "/internal/host", "/internal/server", "/internal/kernel", "/internal/engine", "/internal/store"},
		"internal/credentials": {"/internal/session", "/internal/api", "/internal/host", "/internal/server"},
	}
	for room, refused := range never {
		files, err := filepath.Glob(filepath.Join("..", "..", room, "*.go"))
		if err != nil || len(files) == 0 {
			t.Fatalf("%s: %d files, %v", room, len(files), err)
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
						t.Errorf("%s imports %s", filepath.Join(room, filepath.Base(file)), path)
					}
				}
			}
		}
	}
}
