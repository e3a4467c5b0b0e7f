package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

func TestOnlyChaosBuildsKnowAnotherKernel(t *testing.T) {
	t.Parallel()
	name := []byte("ERGANE_CHAOS_KERNEL")
	for tags, want := range map[string]bool{"": false, "chaos": true} {
		binary := filepath.Join(t.TempDir(), "ergane")
		if out, err := exec.Command("go", "build", "-tags", tags, "-o", binary, ".").CombinedOutput(); err != nil {
			t.Fatalf("build with tags %q: %v\n%s", tags, err, out)
		}
		b, err := os.ReadFile(binary)
		if err != nil {
			t.Fatal(err)
		}
		if got := bytes.Contains(b, name); got != want {
			t.Errorf("built with tags %q, the binary contains %s: %v", tags, name, got)
		}
	}
}
