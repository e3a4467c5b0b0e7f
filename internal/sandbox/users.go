package sandbox

import (
	"fmt"
	"strconv"
	"strings"
)

// Users is a range of UIDs, from First to Last, that nobody else uses. Sessions
// get their users, and their groups with the same number, from it.
type Users struct{ First, Last int }

// DefaultUsers are above the UIDs that distributions use for people and services
// (up to 60000), outside those of systemd for homes, containers and dynamic
// services (60001 to 65519, from 524288), and below those that useradd assigns to
// containers (from 100000).
var DefaultUsers = Users{70000, 79999}

// UnmarshalText reads FIRST-LAST.
func (u *Users) UnmarshalText(text []byte) error {
	first, last, _ := strings.Cut(string(text), "-")
	var err error
	if u.First, err = strconv.Atoi(first); err == nil {
		u.Last, err = strconv.Atoi(last)
	}
	if err != nil || u.First < 1000 || u.Last < u.First || u.Last > 1<<31-2 {
		return fmt.Errorf("%q is not a range of UIDs from 1000 on, for instance %v", text, DefaultUsers)
	}
	return nil
}

func (u Users) String() string { return fmt.Sprintf("%d-%d", u.First, u.Last) }

// Has reports whether a user is in the range.
func (u Users) Has(user int) bool { return user >= u.First && user <= u.Last }

// Next is the next user behind after that is not taken; behind Last it goes on at
// First. It is 0 if all are taken. So a UID is reused as late as possible.
func (u Users) Next(after int, taken map[int]bool) int {
	if !u.Has(after) {
		after = u.Last
	}
	for n := range u.Last - u.First + 1 {
		user := u.First + (after-u.First+1+n)%(u.Last-u.First+1)
		if !taken[user] {
			return user
		}
	}
	return 0
}
