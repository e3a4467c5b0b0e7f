package sandbox_test

import (
	"fmt"
	"testing"

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
	release, err := sandbox.Claim(testUser)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := sandbox.Claim(testUser); err == nil {
		t.Error("claimed twice")
	}
	release()
	release, err = sandbox.Claim(testUser)
	if err != nil {
		t.Fatal(err)
	}
	release()
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
