package host

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/ergane-dev/ergane/internal/datadir"
	"github.com/ergane-dev/ergane/internal/sandbox"
)

func TestAConfinerSkipsAUserThatAnotherServerClaims(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Fatal("only root can give a session another user; run the tests of this package as root, too")
	}
	c := &Confiner{dataDir: t.TempDir(), claims: filepath.Join(t.TempDir(), "users")}
	c.flags.SessionUsers = sandbox.Users{First: 79920, Last: 79921}
	other, err := sandbox.Claim(c.claims, 79920)
	if err != nil {
		t.Fatal(err)
	}
	number, claim, err := c.claim(filepath.Join(datadir.Sessions(c.dataDir), "one", "work"), true)
	if err != nil || number != 79921 {
		t.Fatalf("user %d, %v; want 79921", number, err)
	}
	releaseClaim(claim)
	if _, _, err := c.claim(filepath.Join(datadir.Sessions(c.dataDir), "two", "work"), true); err == nil || !strings.Contains(err.Error(), "are in use") {
		t.Errorf("with one claimed and one that owns a folder: %v", err)
	}
	releaseClaim(other)
	number, claim, err = c.claim(filepath.Join(datadir.Sessions(c.dataDir), "three", "work"), true)
	if err != nil || number != 79920 {
		t.Fatalf("after the release: user %d, %v; want 79920", number, err)
	}
	releaseClaim(claim)
}

func TestAConfinerThatCannotClaimSaysWhy(t *testing.T) {
	t.Parallel()
	c := &Confiner{dataDir: t.TempDir(), claims: filepath.Join(t.TempDir(), "users")}
	c.flags.SessionUsers = sandbox.DefaultUsers
	if err := os.Symlink(t.TempDir(), c.claims); err != nil {
		t.Fatal(err)
	}
	_, _, err := c.claim(filepath.Join(datadir.Sessions(c.dataDir), "one", "work"), true)
	if err == nil || !strings.Contains(err.Error(), c.claims+" is not a folder") {
		t.Errorf("%v", err)
	}
}

func TestAnAllowedPathDoesNotShowTheClaims(t *testing.T) {
	t.Parallel()
	view, err := SandboxFlags{AllowPath: []string{"/run"}}.view([]string{"/secret"})
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"/secret", sandbox.ClaimsDir, "/var/run/ergane/users"} {
		if !slices.Contains(view.Hidden, path) {
			t.Errorf("%s is not hidden: %v", path, view.Hidden)
		}
	}
	if !slices.Contains(view.Read, "/run") {
		t.Errorf("not to read: %v", view.Read)
	}
}
