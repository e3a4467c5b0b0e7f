package testkit_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

const module = "github.com/ergane-dev/ergane"

// forbidden are imports that the layers would allow and that are wrong
// nevertheless: operations only use the session manager, and internal/host does
// not use the database.
var forbidden = map[string][]string{
	"internal/api":  {"internal/kernel", "internal/engine", "internal/store", "internal/objects", "internal/metastore", "internal/sandbox"},
	"internal/host": {"internal/store"},
}

// The table of docs/architecture.md has every folder with Go code, and each
// package has a comment.
func TestEveryPackageIsInTheTableAndHasAComment(t *testing.T) {
	t.Parallel()
	table := readLayers(t)
	for dir, files := range goFiles(t) {
		if table.row(dir) == "" {
			t.Errorf("%s is not in the table of docs/architecture.md: give it a line in its layer there", dir)
		}
		documented := false
		for _, file := range files {
			documented = documented || parsed(t, file, parser.PackageClauseOnly|parser.ParseComments).Doc != nil
		}
		if !documented {
			t.Errorf("package %s has no comment that says what it is for", dir)
		}
	}
	for row := range table {
		if _, err := os.Stat(filepath.Join(root, row)); err != nil {
			t.Errorf("the table of docs/architecture.md has %s, which does not exist", row)
		}
	}
}

// A package imports only packages of lower layers of that table, not of its own
// or a higher one.
func TestPackagesImportDownwardsOnly(t *testing.T) {
	t.Parallel()
	table := readLayers(t)
	for dir, files := range goFiles(t) {
		from := table.row(dir)
		for _, file := range files {
			for _, spec := range parsed(t, file, parser.ImportsOnly).Imports {
				imported, ours := strings.CutPrefix(strings.Trim(spec.Path.Value, `"`), module)
				if !ours {
					continue
				}
				to := table.row(path.Join(".", strings.TrimPrefix(imported, "/")))
				if to != from && table[to] <= table[from] {
					t.Errorf("%s imports %s, which is not below %s in docs/architecture.md", file, to, from)
				}
				for _, s := range forbidden[from] {
					if to == s {
						t.Errorf("%s imports %s", file, to)
					}
				}
			}
		}
	}
}

var root = filepath.Join("..", "..")

// layers are the rows of the table, each with the number of its layer from the top.
type layers map[string]int

// row is the row that stands for a folder: its own, or that of a folder above it.
func (l layers) row(dir string) string {
	for d := dir; d != "."; d = path.Dir(d) {
		if _, ok := l[d]; ok {
			return d
		}
	}
	if dir == "." {
		return "."
	}
	return ""
}

var (
	headRow = regexp.MustCompile(`^\| \*\*`)
	nameRow = regexp.MustCompile("^\\| ((?:`[^`]+`(?:, )?)+)")
)

// readLayers reads the table: a row in bold begins a layer.
func readLayers(t *testing.T) layers {
	t.Helper()
	doc, err := os.ReadFile(filepath.Join(root, "docs", "architecture.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(doc), "\n## Where to change what\n")
	section, _, _ = strings.Cut(section, "\n## ")
	l, layer := layers{}, 0
	for line := range strings.Lines(section) {
		if headRow.MatchString(line) {
			layer++
		} else if m := nameRow.FindStringSubmatch(line); m != nil {
			for name := range strings.SplitSeq(m[1], ", ") {
				l[path.Clean(strings.Trim(name, "`"))] = layer
			}
		}
	}
	if layer < 2 {
		t.Fatalf("found %d layers in docs/architecture.md", layer)
	}
	return l
}

// goFiles are the files of each folder with Go code that is not a test's.
func goFiles(t *testing.T) map[string][]string {
	t.Helper()
	found := map[string][]string{}
	err := filepath.WalkDir(root, func(file string, d fs.DirEntry, err error) error {
		switch name := d.Name(); {
		case err != nil:
			return err
		case d.IsDir() && (name == "testdata" || len(name) > 2 && name[0] == '.'):
			return filepath.SkipDir
		case strings.HasSuffix(name, ".go") && !strings.HasSuffix(name, "_test.go"):
			dir, err := filepath.Rel(root, filepath.Dir(file))
			found[filepath.ToSlash(dir)] = append(found[filepath.ToSlash(dir)], file)
			return err
		}
		return nil
	})
	if err != nil || len(found) == 0 {
		t.Fatalf("%d folders with Go code, %v", len(found), err)
	}
	return found
}

func parsed(t *testing.T, file string, mode parser.Mode) *ast.File {
	t.Helper()
	f, err := parser.ParseFile(token.NewFileSet(), file, nil, mode)
	if err != nil {
		t.Fatal(err)
	}
	return f
}
