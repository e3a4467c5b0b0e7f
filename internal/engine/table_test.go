package engine_test

import (
	"strings"
	"testing"
	"testing/fstest"

	"github.com/ergane-dev/ergane"
	"github.com/ergane-dev/ergane/internal/engine"
)

func TestTableResolvesAthenasNames(t *testing.T) {
	t.Parallel()
	table, err := engine.DefaultTable()
	must(t, err)
	for _, c := range []struct{ name, effective, spark string }{
		{"AUTO", "PySpark engine version 3", "3.5.9"},
		{"", "PySpark engine version 3", "3.5.9"},
		{"PySpark engine version 3", "PySpark engine version 3", "3.5.9"},
		{"Apache Spark version 3.5", "Apache Spark version 3.5", "3.5.9"},
	} {
		spec, effective, err := table.Resolve(c.name)
		must(t, err)
		if effective != c.effective || spec.Spark != c.spark {
			t.Errorf("%q resolves to %q, Spark %s", c.name, effective, spec.Spark)
		}
	}
}

func TestTableRefusesAnUnknownNameAndListsTheKnown(t *testing.T) {
	t.Parallel()
	table, err := engine.DefaultTable()
	must(t, err)
	_, _, err = table.Resolve("Athena engine version 3")
	if ergane.CodeOf(err) != ergane.CodeInvalid || !strings.Contains(err.Error(), "AUTO, PySpark engine version 3, Apache Spark version 3.5") {
		t.Errorf("the error is %v", err)
	}
}

func TestAnEnginesFolderChangesWithItsLockFiles(t *testing.T) {
	t.Parallel()
	id := func(lock string) string {
		table, err := engine.ReadTable(fstest.MapFS{
			"engines.json":  {Data: []byte(`{"default":"A","engines":[{"id":"a","names":["A"]}]}`)},
			"a/sdist.txt":   {Data: []byte(lock)},
			"a/packages.in": {Data: []byte("comment " + lock)},
		})
		must(t, err)
		return table.Engines[0].ID()
	}
	one, two, again := id("one"), id("two"), id("one")
	if one == two {
		t.Error("two lock files, one folder")
	}
	if one != again {
		t.Error("one lock file, two folders")
	}
}

func TestEveryLockFileIsHashed(t *testing.T) {
	t.Parallel()
	table, err := engine.DefaultTable()
	must(t, err)
	for _, spec := range table.Engines {
		files := []string{"bootstrap.txt", "java.txt", "sdist.txt"}
		for _, python := range spec.Pythons {
			files = append(files, "packages-"+python+".txt")
		}
		for _, file := range files {
			text := lockText(t, spec.Name, file)
			entries := 0
			for _, entry := range strings.Split(strings.ReplaceAll(text, "\\\n", ""), "\n") {
				if entry == "" || strings.HasPrefix(entry, "#") {
					continue
				}
				entries++
				if !strings.Contains(entry, "==") || !strings.Contains(entry, "--hash=sha256:") {
					t.Errorf("%s/%s: not pinned or not hashed: %s", spec.Name, file, entry)
				}
			}
			if entries == 0 {
				t.Errorf("%s/%s locks nothing", spec.Name, file)
			}
			if strings.Contains(text, "://") {
				t.Errorf("%s/%s names a host", spec.Name, file)
			}
		}
	}
}
