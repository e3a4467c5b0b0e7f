package server

import (
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"github.com/ergane-dev/ergane"
	"github.com/ergane-dev/ergane/internal/datadir"
	"github.com/ergane-dev/ergane/internal/engine"
	"github.com/ergane-dev/ergane/internal/flock"
	"github.com/ergane-dev/ergane/internal/host"
	"github.com/ergane-dev/ergane/internal/objects/gateway"
	"github.com/ergane-dev/ergane/internal/sandbox"
)

// The embedded S3 is this program with another argument.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "s3" {
		os.Exit(gateway.Main(os.Args[2:]))
	}
	os.Exit(m.Run())
}

// A whole server in this process, for tests that need no kernel.
func TestAServerOpensAnswersAndLeavesNothing(t *testing.T) {
	dir := t.TempDir()
	cfg := Config{
		Programs: engine.Programs{Python: filepath.Join(t.TempDir(), "none")}, // nothing is installed
		DataDir:  dir, EngineDir: t.TempDir(), Listen: "127.0.0.1:0", S3Listen: "127.0.0.2:0", Catalog: host.CatalogOff,
		Sandbox: host.SandboxFlags{Sandbox: host.SandboxOff, SessionUsers: sandbox.Users{}}, Version: "test",
	}
	for range 2 { // the second one opens the data folder of the first
		s, err := Open(t.Context(), cfg, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		served := make(chan error, 1)
		go func() { served <- s.http.Serve(s.socket) }()
		for path, want := range map[string]int{"/healthz": 200, "/readyz": 503, "/metrics": 200, "/": 404} {
			res, err := http.Get(s.Info().API + path)
			if err != nil {
				t.Fatal(err)
			}
			res.Body.Close()
			if res.StatusCode != want {
				t.Errorf("%s: %s", path, res.Status)
			}
		}
		if _, err := s.store.WorkGroup(t.Context(), ergane.PrimaryWorkGroup); err != nil {
			t.Error(err)
		}
		if _, ok, err := datadir.ReadServer(dir); !ok || err != nil {
			t.Errorf("it says nothing of itself: %v", err)
		}
		if _, err := Open(t.Context(), cfg, slog.New(slog.DiscardHandler)); err == nil {
			t.Error("two servers have one data folder")
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		if err := <-served; err != http.ErrServerClosed {
			t.Error(err)
		}
		if held, err := flock.Held(datadir.Lock(dir)); held || err != nil {
			t.Errorf("the folder is locked: %v", err)
		}
		if _, ok, _ := datadir.ReadServer(dir); ok {
			t.Error("it is still recorded as running")
		}
	}
}
