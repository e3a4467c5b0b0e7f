package kernel

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// The other side's test is kernel/tests/test_document.py.
func TestTheDocumentSaysWhatTheServerSpeaks(t *testing.T) {
	t.Parallel()
	doc := readProtocol(t)
	if want := "**Version " + strconv.Itoa(protocolVersion) + ".**"; !strings.Contains(doc.text, want) {
		t.Errorf("the document does not say %s", want)
	}

	said := map[string][]string{} // orders, with their fields
	read := []string{"re", "err", "ev"}
	for _, row := range doc.table(t, "orders") {
		said[row[0][0]] = row[1]
		read = append(read, row[2]...)
	}
	for _, row := range doc.table(t, "events") {
		read = append(read, row[1]...)
	}
	sameNames(t, "what is read of answers and events", fields(reflect.TypeFor[frame]()), read)
	sent := ordersSent(t)
	for op := range sent {
		if _, ok := said[op]; !ok {
			t.Errorf("the server sends the order %q, which is not in the document", op)
		}
	}
	for op, want := range said {
		sameNames(t, "the order "+op, sent[op], want)
	}

	sameNames(t, "an executor", fields(reflect.TypeFor[executorDocument]()), doc.table(t, "executor")[0][0])
	boot := doc.table(t, "boot")
	for i, part := range []reflect.Type{reflect.TypeFor[bootDocument](), reflect.TypeFor[bootJava](), reflect.TypeFor[factsDocument](), reflect.TypeFor[Pip](), reflect.TypeFor[bootAhead]()} {
		sameNames(t, "a part of the boot document", fields(part), boot[i][1])
	}
}

func TestTheDocumentHasEveryFileOfASession(t *testing.T) {
	t.Parallel()
	doc := readProtocol(t)
	calculation := path.Join(workFolder, "calc", "<id>")
	documents := map[string]reflect.Type{
		handleFile:                             reflect.TypeFor[Handle](),
		groupFile:                              reflect.TypeFor[groupDocument](),
		exitFile:                               reflect.TypeFor[exitDocument](),
		epochFile:                              reflect.TypeFor[epochDocument](),
		ageFile:                                reflect.TypeFor[ageDocument](),
		aheadFile:                              reflect.TypeFor[aheadDocument](),
		deadManFile:                            reflect.TypeFor[deadManDocument](),
		path.Join(workFolder, claimFile):       reflect.TypeFor[claimDocument](),
		path.Join(workFolder, claimedFile):     reflect.TypeFor[readyDocument](),
		path.Join(workFolder, "ready.json"):    reflect.TypeFor[readyDocument](),
		path.Join(workFolder, "driver.json"):   reflect.TypeFor[exitDocument](),
		path.Join(calculation, "started.json"): reflect.TypeFor[startedDocument](),
		path.Join(calculation, "outcome.json"): reflect.TypeFor[outcomeDocument](),
	}
	elsewhere := map[string][]string{ // fields that a type has for another document or frame
		"work/driver.json":            {"detail"},
		"work/calc/<id>/outcome.json": {"unrecorded"},
	}
	folders, err := os.ReadFile(filepath.Join("..", "..", "docs", "architecture.md"))
	if err != nil {
		t.Fatal(err)
	}
	for name := range documents {
		if !strings.Contains(string(folders), "  "+path.Base(name)) {
			t.Errorf("%s is not among the files on disk of docs/architecture.md", name)
		}
	}
	for _, row := range doc.table(t, "files") {
		name := row[0][0]
		document, ok := documents[name]
		if !ok {
			t.Errorf("the document has %s, which this package does not know", name)
			continue
		}
		delete(documents, name)
		sameNames(t, name, fields(document), append(row[2], elsewhere[name]...))
	}
	for name := range documents {
		t.Errorf("%s is not in the document", name)
	}
	named := regexp.MustCompile(`^[a-z][a-z.]*\.(json|py|ndjson|log|log\.1|sock)$`)
	inspect(t, func(n ast.Node) {
		if literal, ok := n.(*ast.BasicLit); ok && literal.Kind == token.STRING {
			if name, _ := strconv.Unquote(literal.Value); named.MatchString(name) && !strings.Contains(doc.text, name+"`") {
				t.Errorf("the document does not mention %s", name)
			}
		}
	})
}

func TestTheVersionIsWrittenOnce(t *testing.T) {
	t.Parallel()
	isVersion := func(e ast.Expr) bool {
		switch e := e.(type) {
		case *ast.Ident:
			return e.Name == "V"
		case *ast.SelectorExpr:
			return e.Sel.Name == "V"
		}
		return false
	}
	isNumber := func(e ast.Expr) bool { _, ok := e.(*ast.BasicLit); return ok }
	inspect(t, func(n ast.Node) {
		switch n := n.(type) {
		case *ast.KeyValueExpr:
			if isVersion(n.Key) && isNumber(n.Value) {
				t.Error("a document is made with a number as its version; use protocolVersion")
			}
		case *ast.BinaryExpr:
			if isVersion(n.X) && isNumber(n.Y) {
				t.Error("a version is compared with a number; use protocolVersion")
			}
		}
	})
}

// A protocol is docs/kernel-protocol.md.
type protocol struct{ text string }

func readProtocol(t *testing.T) protocol {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("..", "..", "docs", "kernel-protocol.md"))
	if err != nil {
		t.Fatal(err)
	}
	return protocol{string(b)}
}

var quoted = regexp.MustCompile("`([^`]+)`")

// table is a table of the document: of each row, the names in each cell.
func (p protocol) table(t *testing.T, name string) (rows [][][]string) {
	t.Helper()
	_, after, _ := strings.Cut(p.text, "\n<!-- "+name+" -->\n")
	table, _, _ := strings.Cut(after, "\n\n")
	lines := strings.Split(table, "\n")
	for _, line := range lines[min(2, len(lines)):] {
		var row [][]string
		for _, cell := range strings.Split(strings.Trim(line, "|"), "|") {
			names := []string{}
			for _, m := range quoted.FindAllStringSubmatch(cell, -1) {
				names = append(names, m[1])
			}
			row = append(row, names)
		}
		rows = append(rows, row)
	}
	if len(rows) == 0 {
		t.Fatalf("the document has no table %q", name)
	}
	return rows
}

// ordersSent are the orders that this package's code makes, each with the fields that it sets.
func ordersSent(t *testing.T) map[string][]string {
	t.Helper()
	found := map[string][]string{}
	inspect(t, func(n ast.Node) {
		made, ok := n.(*ast.CompositeLit)
		if !ok {
			return
		}
		if name, ok := made.Type.(*ast.Ident); !ok || name.Name != "order" {
			return
		}
		var op string
		set := []string{}
		for _, element := range made.Elts {
			field := element.(*ast.KeyValueExpr)
			switch name := field.Key.(*ast.Ident).Name; name {
			case "Op":
				op, _ = strconv.Unquote(field.Value.(*ast.BasicLit).Value)
			case "N":
			default:
				f, _ := reflect.TypeFor[order]().FieldByName(name)
				set = append(set, jsonName(f))
			}
		}
		found[op] = set
	})
	return found
}

// inspect walks through this package's code, tests left out.
func inspect(t *testing.T, see func(ast.Node)) {
	t.Helper()
	files, err := filepath.Glob("*.go")
	if err != nil || len(files) == 0 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool { see(n); return true })
	}
}

// fields are the JSON names of a type's fields, embedded ones too.
func fields(document reflect.Type) (names []string) {
	for f := range document.Fields() {
		switch {
		case f.Anonymous:
			names = append(names, fields(f.Type)...)
		case jsonName(f) != "" && jsonName(f) != "-":
			names = append(names, jsonName(f))
		}
	}
	return names
}

func jsonName(f reflect.StructField) string {
	name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
	return name
}

func sameNames(t *testing.T, what string, code, doc []string) {
	t.Helper()
	sorted := func(names []string) []string { return slices.Compact(slices.Sorted(slices.Values(names))) }
	if got, want := sorted(code), sorted(doc); !slices.Equal(got, want) {
		t.Errorf("%s: the code has %v, the document %v", what, got, want)
	}
}
