package main

import (
	"flag"
	"fmt"
	"os"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"github.com/alecthomas/kong"

	"github.com/ergane-dev/ergane/internal/host"
)

var update = flag.Bool("update", false, "write the tables of docs/configuration.md again")

// flagTables are the flags of serve by the tables of docs/configuration.md. All
// others are in the table "server".
func flagTables() map[string]any {
	return map[string]any{
		"folders": new(struct{ dirs }),
		"pool":    new(struct{ poolFlags }),
		"limits":  new(struct{ limitFlags }),
		"keep":    new(struct{ keepFlags }),
		"pip":     new(struct{ pipFlags }),
		"sandbox": new(struct{ host.SandboxFlags }),
	}
}

// The text between <!-- flags: NAME --> and <!-- end --> is generated from the flags.
func TestConfigurationDocHasEveryFlag(t *testing.T) {
	t.Parallel()
	const path = "../../docs/configuration.md"
	have, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	tables, elsewhere := map[string]string{}, map[string]bool{}
	for name, of := range flagTables() {
		flags := flagsOf(t, of)
		tables[name] = flagTable(t, flags)
		for _, f := range flags {
			elsewhere[f.Name] = true
		}
	}
	app := kong.Must(new(cli), grammar()...).Model
	server := []*kong.Flag{app.Flags[1]} // --config; the first is --help
	var commands strings.Builder
	commands.WriteString("| command | does | flags of its own |\n|---|---|---|\n")
	for _, command := range app.Children {
		var own []string
		for _, f := range command.Flags {
			switch {
			case elsewhere[f.Name]:
			case command.Name == "serve":
				server = append(server, f)
			default:
				own = append(own, fmt.Sprintf("`--%s`: %s", f.Name, f.Help))
			}
		}
		if command.Name == "serve" {
			own = []string{"all that follow"}
		}
		fmt.Fprintf(&commands, "| `ergane %s` | %s | %s |\n", command.Name, command.Help, strings.Join(own, "<br>"))
	}
	tables["server"] = flagTable(t, server)
	tables["commands"] = commands.String()
	var environment strings.Builder
	environment.WriteString("| variable | is |\n|---|---|\n")
	for _, f := range reflect.VisibleFields(reflect.TypeFor[variables]()) {
		fmt.Fprintf(&environment, "| `%s` | %s |\n", f.Tag.Get("env"), f.Tag.Get("help"))
	}
	tables["variables"] = environment.String()

	block := regexp.MustCompile(`(?s)(<!-- flags: ([a-z]+) -->\n).*?(<!-- end -->\n)`)
	want := block.ReplaceAllStringFunc(string(have), func(found string) string {
		part := block.FindStringSubmatch(found)
		table, ok := tables[part[2]]
		if !ok {
			t.Errorf("%s has a table %q, which is there twice or is no table", path, part[2])
		}
		delete(tables, part[2])
		return part[1] + table + part[3]
	})
	for name := range tables {
		t.Errorf("%s has no table %q", path, name)
	}
	if *update {
		if err := os.WriteFile(path, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if want != string(have) {
		t.Errorf("%s differs from the flags; run: make generate", path)
	}
}

// flagsOf are the flags that a struct declares.
func flagsOf(t *testing.T, of any) []*kong.Flag {
	t.Helper()
	parser, err := kong.New(of, kong.NoDefaultHelp())
	if err != nil {
		t.Fatal(err)
	}
	return parser.Model.Flags
}

// flagTable also checks the names of the variables, which the document says follow from those of the flags.
func flagTable(t *testing.T, flags []*kong.Flag) string {
	t.Helper()
	var b strings.Builder
	b.WriteString("| flag | is | default |\n|---|---|---|\n")
	for _, f := range flags {
		variable := "ERGANE_" + strings.ToUpper(strings.ReplaceAll(f.Name, "-", "_"))
		if len(f.Envs) != 1 || f.Envs[0] != variable {
			t.Errorf("--%s has the variables %v, want %s", f.Name, f.Envs, variable)
		}
		name := "--" + f.Name
		if !f.IsBool() {
			name += " " + f.FormatPlaceHolder()
		}
		def := f.Default
		switch {
		case f.IsBool():
			def = "off"
		case def != "":
			def = "`" + def + "`"
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s |\n", strings.ReplaceAll(name, "|", `\|`), f.Help, def)
	}
	return b.String()
}
