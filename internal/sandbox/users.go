package sandbox

import (
	"fmt"
	"strconv"
	"strings"
)

// Users is a range of user numbers that belong to nobody else, from First to
// Last. Sessions take their users, and groups, from it.
type Users struct{ First, Last int }

// DefaultUsers are above all that distributions give to people and services
// (up to 60000), systemd to homes, containers and dynamic services (60001 to
// 65519, from 524288), and below what useradd gives to containers (from 100000).
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

// Has tells whether a user is one of the range.
func (u Users) Has(user int) bool { return user >= u.First && user <= u.Last }

// Next is the first user from after on, in a circle, that taken does not have;
// 0 where all are taken. So a number is given out again as late as can be.
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
