package main

import (
	"os"
	"os/exec"
	"strings"
	"testing"
)

// A production build has no points at which it kills itself: not even their
// variable is in the binary.
func TestOnlyChaosBuildsKnowCrashPoints(t *testing.T) {
	t.Parallel()
	for tags, want := range map[string]bool{"": false, "chaos": true} {
		binary := t.TempDir() + "/ergane"
		out, err := exec.CommandContext(t.Context(), "go", "build", "-tags", tags, "-o", binary, ".").CombinedOutput()
		if err != nil {
			t.Fatalf("go build: %v\n%s", err, out)
		}
		b, err := os.ReadFile(binary)
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.Contains(string(b), "ERGANE_"+"CRASH"); got != want {
			t.Errorf("built with tags %q, the binary knows crash points: %t", tags, got)
		}
	}
}
