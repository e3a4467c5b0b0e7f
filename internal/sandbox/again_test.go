package sandbox_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/ergane-dev/ergane/internal/sandbox"
)

// failing is a stage that fails once for each file in tries, and then works.
func failing(t *testing.T, s *sandbox.Setup, times int, end string) (tries string) {
	t.Helper()
	tries = t.TempDir()
	for n := range times {
		if err := os.WriteFile(filepath.Join(tries, fmt.Sprint(n)), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	script := `for f in ` + tries + `/*; do [ -e "$f" ] && rm "$f" && ` + end + `; break; done; exec "$@"`
	s.Stage = append([]string{"/bin/sh", "-c", script, "sh"}, s.Stage...)
	return tries
}

func TestAProbeThatFailsForATransientReasonIsTriedAgain(t *testing.T) {
	t.Parallel()
	for _, end := range []string{"exit 124", "kill -9 $$", "exit 2"} {
		data := t.TempDir()
		s := setup(t, data, sandbox.System(data))
		failing(t, &s, 1, end)
		var again []string
		s.Again = func(missing []string, l sandbox.Layers) {
			again = missing
			if l.Landlock.Active || l.Landlock.Why == "" {
				t.Errorf("%s: %+v", end, l.Landlock)
			}
		}
		found, err := sandbox.Detect(context.Background(), s)
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Contains(again, "landlock") || !found.Landlock.Active {
			t.Errorf("%s: %v, %+v", end, again, found.Landlock)
		}
	}
}

func TestAProbeThatFailsForGoodIsTriedAgainOnlyWhereTheLayerIsExpected(t *testing.T) {
	t.Parallel()
	for _, expected := range []bool{false, true} {
		data := t.TempDir()
		s := setup(t, data, sandbox.System(data))
		failing(t, &s, 1, "echo no >&2 && exit 125")
		if expected {
			s.Expected = []string{"landlock"}
		}
		found, err := sandbox.Detect(context.Background(), s)
		if err != nil {
			t.Fatal(err)
		}
		if found.Landlock.Active != expected || !expected && found.Landlock.Why != "no" {
			t.Errorf("expected %v: %+v", expected, found.Landlock)
		}
	}
}

func TestALayerThatIsExpectedIsGivenUpAfterSomeTries(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	s := setup(t, data, sandbox.System().AndRead(data)) // which no layer hides
	s.Expected = []string{"mounts"}
	tries := 0
	s.Again = func([]string, sandbox.Layers) { tries++ }
	found, err := sandbox.Detect(context.Background(), s)
	if err != nil {
		t.Fatal(err)
	}
	if found.Mounts.Active || tries == 0 {
		t.Errorf("after %d tries: %+v", tries, found.Mounts)
	}
	if got := found.Missing([]string{"mounts", "landlock"}); len(got) != 2 {
		t.Errorf("missing: %v", got)
	}
}
