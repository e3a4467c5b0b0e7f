package sandbox_test

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ergane-dev/ergane/internal/flock"
	"github.com/ergane-dev/ergane/internal/sandbox"
)

func TestUsersAreGivenOutInACircle(t *testing.T) {
	t.Parallel()
	u := sandbox.Users{First: 70000, Last: 70002}
	for _, c := range []struct {
		after int
		taken []int
		want  int
	}{
		{0, nil, 70000},
		{70000, nil, 70001},
		{70002, nil, 70000},
		{70000, []int{70001}, 70002},
		{70001, []int{70002, 70000}, 70001},
		{70001, []int{70000, 70001, 70002}, 0},
		{99999, []int{70000}, 70001}, // the flag was changed
	} {
		taken := map[int]bool{}
		for _, user := range c.taken {
			taken[user] = true
		}
		if got := u.Next(c.after, taken); got != c.want {
			t.Errorf("after %d with %v taken: %d, want %d", c.after, c.taken, got, c.want)
		}
	}
}

func TestARangeOfUsersIsRead(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]sandbox.Users{
		"70000-79999": sandbox.DefaultUsers, "2000-2000": {First: 2000, Last: 2000},
		"": {}, "70000": {}, "0-10": {}, "999-2000": {}, "5000-4000": {}, "a-b": {}, "70000-4294967295": {}, "-1-5": {},
	} {
		var got sandbox.Users
		err := got.UnmarshalText([]byte(text))
		if (err == nil) != (want != sandbox.Users{}) {
			t.Errorf("%q: %v", text, err)
		}
		if err == nil && (got != want || got.String() != text) {
			t.Errorf("%q: %v", text, got)
		}
	}
}

func TestAUserIsClaimedByOne(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "users")
	claim, err := sandbox.Claim(dir, testUser)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := sandbox.Claim(dir, testUser); !errors.Is(err, flock.ErrHeld) {
		t.Errorf("claimed twice: %v, want ErrHeld", err)
	}
	if got := elsewhere(t, dir); got != "held" {
		t.Errorf("another process claims it, too: %s", got)
	}
	if other, err := sandbox.Claim(dir, testUser-1); err != nil {
		t.Errorf("another user: %v", err)
	} else {
		other.Release()
	}
	claim.Release()
	if got := elsewhere(t, dir); got != "done" {
		t.Errorf("another process, after the release: %s", got)
	}
	claim, err = sandbox.Claim(dir, testUser)
	if err != nil {
		t.Fatal(err)
	}
	claim.Release()
	if st, err := os.Lstat(dir); err != nil || st.Mode().Perm() != 0o700 {
		t.Errorf("the folder: %v, %v; want mode 0700", st, err)
	}
}

// elsewhere claims testUser in another process.
func elsewhere(t *testing.T, dir string) string {
	t.Helper()
	out, err := exec.Command(os.Args[0], "try", fmt.Sprintf("claim %d %s", testUser, dir)).Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(out))
}

func TestAFolderOfClaimsThatOthersCanChangeIsRefused(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Fatal("only root can change the owner of a folder; run the tests of this package as root, too")
	}
	mode := func(m os.FileMode) func(string) error {
		return func(dir string) error { return errors.Join(os.Mkdir(dir, 0o700), os.Chmod(dir, m)) }
	}
	for name, c := range map[string]struct {
		make func(dir string) error
		want string // empty: it is good
	}{
		"ours":     {mode(0o755), ""},
		"a link":   {func(dir string) error { return os.Symlink(t.TempDir(), dir) }, "is not a folder"},
		"a file":   {func(dir string) error { return os.WriteFile(dir, nil, 0o600) }, "is not a folder"},
		"others'":  {func(dir string) error { return errors.Join(os.Mkdir(dir, 0o700), os.Chown(dir, testUser, 0)) }, "belongs to user"},
		"a group":  {mode(0o770), "can be written by others"},
		"everyone": {mode(0o1777), "can be written by others"},
	} {
		for _, where := range []string{"above", "above/users"} {
			root := t.TempDir()
			if where != "above" {
				if err := os.Mkdir(filepath.Join(root, "above"), 0o700); err != nil {
					t.Fatal(err)
				}
			}
			if err := c.make(filepath.Join(root, where)); err != nil {
				t.Fatal(err)
			}
			claim, err := sandbox.Claim(filepath.Join(root, "above", "users"), testUser)
			if err == nil {
				claim.Release()
			}
			if good := err == nil; good != (c.want == "") || errors.Is(err, flock.ErrHeld) || !good && !strings.Contains(err.Error(), c.want) {
				t.Errorf("%s, %s: %v, want %q", where, name, err, c.want)
			}
		}
	}
}

func TestNamesOfSocketsTakeNoUser(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "users")
	for user := 79900; user < 79910; user++ {
		l, err := net.Listen("unix", fmt.Sprintf("@ergane-user-%d", user)) // every session can do that
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		claim, err := sandbox.Claim(dir, user)
		if err != nil {
			t.Fatal(err)
		}
		claim.Release()
	}
}

func TestAUserIsBusyWhileItHasAProcess(t *testing.T) {
	t.Parallel()
	const nobody = 79997
	if sandbox.Busy(nobody) {
		t.Error("a user without a process is busy")
	}
	p := newPlace(t)
	p.own(nobody)
	p.Mounts = true
	if got := p.tries(fmt.Sprintf("busy %d", nobody)); got[0] != "true" {
		t.Errorf("a process does not find itself: %v", got)
	}
}
