package objects_test

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"testing"

	"github.com/ergane-dev/ergane/internal/credentials"
	"github.com/ergane-dev/ergane/internal/flock"
	"github.com/ergane-dev/ergane/internal/objects"
	"github.com/ergane-dev/ergane/internal/objects/gateway"
)

// embedded starts an embedded S3 that ends with the test.
func embedded(t testing.TB) (s *objects.Client, dataDir, endpoint string) {
	t.Helper()
	dir := t.TempDir()
	lock, err := flock.Acquire(filepath.Join(dir, "lock"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { lock.Release() })
	sup, err := gateway.NewSupervisor(gateway.SupervisorConfig{
		DataDir: dir, Listen: "127.0.0.1:0", Command: []string{os.Args[0], "s3"},
		Log: slog.New(slog.NewTextHandler(t.Output(), nil)),
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := sup.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := sup.Stop(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return client(t, dir, sup.Endpoint()), dir, sup.Endpoint()
}

func client(t testing.TB, dataDir, endpoint string) *objects.Client {
	t.Helper()
	ring, err := credentials.Open(dataDir)
	if err != nil {
		t.Fatal(err)
	}
	s, err := objects.New(objects.Config{
		Endpoint: endpoint, AccessKeyID: ring.Root().AccessKeyID, Secret: ring.Root().Secret, Embedded: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}
