package store_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// What only SQLite understands, in imports and in the texts of statements.
var onlySQLite = regexp.MustCompile(`(?i)sqlite|pragma|vacuum|cross join|\bglob\b|insert or |json_extract|strftime|rowid`)

// Another database is added beside the files sqlite*.go, and none of the others changes.
func TestOnlyTheFilesOfSQLiteHaveItsDialect(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("*.go")
	must(t, err)
	words := 0
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		set := token.NewFileSet()
		parsed, err := parser.ParseFile(set, file, nil, 0)
		must(t, err)
		ast.Inspect(parsed, func(n ast.Node) bool {
			text, ok := n.(*ast.BasicLit)
			if !ok || text.Kind != token.STRING || !onlySQLite.MatchString(text.Value) {
				return true
			}
			if words++; !strings.HasPrefix(file, "sqlite") {
				t.Errorf("%s: %s", set.Position(text.Pos()), text.Value)
			}
			return true
		})
	}
	if words == 0 {
		t.Error("this test cannot fail")
	}
}
