package host

import (
	"bytes"
	"log/slog"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/ergane-dev/ergane/internal/engine"
	"github.com/ergane-dev/ergane/internal/sandbox"
)

// working are layers of which those named work.
func working(names ...string) (l sandbox.Layers) {
	for name, layer := range map[string]*sandbox.Layer{"user": &l.User, "mounts": &l.Mounts, "landlock": &l.Landlock, "pids": &l.Pids, "group": &l.Group} {
		if layer.Active = slices.Contains(names, name); !layer.Active {
			layer.Why = "no " + name + " today"
		}
	}
	return l
}

func TestALayerThatWorkedHasToWorkUnlessLessIsAccepted(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		asked  string
		shared bool
		before layerNames
		now    []string
		want   string // in the refusal; empty: none
	}{
		{asked: "auto", now: nil},
		{asked: "auto", before: layerNames{"mounts"}, now: []string{"user", "mounts"}},
		{asked: "auto", before: layerNames{"user", "mounts", "landlock"}, now: []string{"user", "landlock"},
			want: "sandbox layers that worked at the last start on this data folder do not work now: mounts (no mounts today); fix that (ergane doctor says more), or accept less protection with --sandbox user,landlock"},
		{asked: "auto", before: layerNames{"group"}, want: "with --sandbox off, with which user code runs as the server's user"},
		{asked: "strict", before: layerNames{"user", "mounts", "landlock"}, now: []string{"mounts", "landlock"}, want: "do not work now: user (no user today)"},
		{asked: "strict", now: []string{"user", "mounts"}, want: "--sandbox strict: Landlock does not work here: no landlock today"},
		{asked: "user, landlock", before: layerNames{"user", "mounts", "landlock"}, now: []string{"user", "landlock"}},
		{asked: "user,landlock", now: []string{"user", "mounts"}, want: "--sandbox user,landlock: these layers do not work here: landlock (no landlock today)"},
		{asked: "auto", shared: true, before: layerNames{"user", "mounts"}, now: []string{"mounts"}},
		{asked: "auto", shared: true, before: layerNames{"user", "mounts"}, want: "do not work now: mounts (no"},
	} {
		cluster, err := engine.ParseMaster("local")
		if c.shared {
			cluster, err = engine.ParseMaster("spark://host:7077")
		}
		if err != nil {
			t.Fatal(err)
		}
		con, err := NewConfiner(SandboxFlags{Sandbox: c.asked, SessionUsers: sandbox.DefaultUsers}, t.TempDir(), 0, cluster, nil, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		switch err := con.lacks(working(c.now...), c.before); {
		case c.want == "" && err != nil:
			t.Errorf("%+v: %v", c, err)
		case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)):
			t.Errorf("%v, want %q", err, c.want)
		}
	}
}

func TestASandboxThatNamesNoLayerIsRefused(t *testing.T) {
	t.Parallel()
	for asked, want := range map[string]string{"auto": "", "mounts,group": "", "of": `"of" is not auto`, "mounts,": `"" is not`, "auto,user": `"auto" is not`} {
		err := SandboxFlags{Sandbox: asked}.Check()
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: %v", asked, err)
		}
	}
}

func TestWhatWorksIsRememberedForTheNextServer(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	open := func() (*Confiner, error) {
		return NewConfiner(SandboxFlags{Sandbox: "auto"}, dir, 0, engine.Master{}, nil, slog.New(slog.DiscardHandler))
	}
	c, err := open()
	if err != nil || len(c.before.Server)+len(c.before.Sessions) > 0 {
		t.Fatalf("%+v, %v", c.before, err)
	}
	if err := c.remember(proven{Server: layerNames{"user", "mounts"}, Sessions: layerNames{"mounts"}}); err != nil {
		t.Fatal(err)
	}
	c, err = open()
	if err != nil || !slices.Equal(c.before.Server, layerNames{"user", "mounts"}) || !slices.Equal(c.before.Sessions, layerNames{"mounts"}) {
		t.Fatalf("%+v, %v", c.before, err)
	}
	if err := os.WriteFile(provenPath(dir), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := open(); err == nil || !strings.Contains(err.Error(), "remove "+provenPath(dir)) {
		t.Errorf("of a file that is no JSON: %v", err)
	}
}

func TestAServerWarnsOnceOfAllThatSessionsLack(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	c := &Confiner{log: slog.New(slog.NewTextHandler(&log, nil))}
	c.warn(working(sandbox.Names...))
	if log.Len() > 0 {
		t.Errorf("of nothing: %s", &log)
	}
	c.warn(working("user", "mounts", "pids"))
	if said := log.String(); strings.Count(said, "\n") != 1 || !strings.Contains(said, "level=WARN") || !strings.Contains(said, "landlock (no landlock today), group (no group today)") {
		t.Error(said)
	}
}
