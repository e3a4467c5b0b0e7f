package host

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"

	"github.com/ergane-dev/ergane/internal/datadir"
	"github.com/ergane-dev/ergane/internal/flock"
	"github.com/ergane-dev/ergane/internal/sandbox"
)

// releaseClaim releases a claim, which may be nil.
func releaseClaim(claim *flock.Lock) {
	if claim != nil {
		_ = claim.Release()
	}
}

// claim makes a session's work folder and gives it a user that no other session
// has. Users of this server are in use while they own a session's folder, which is
// removed after everything that ran in it; those of other servers on this machine
// while their claim is held.
func (c *Confiner) claim(work string, own bool) (number int, claim *flock.Lock, err error) {
	if err := os.MkdirAll(work, 0o700); err != nil {
		return 0, nil, fmt.Errorf("make the session's folder: %w", err)
	}
	if !own {
		return 0, nil, nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	folders, err := filepath.Glob(filepath.Join(datadir.Sessions(c.dataDir), "*", "work"))
	if err != nil {
		return 0, nil, err
	}
	folders = append(folders, filepath.Join(datadir.Catalog(c.dataDir), "work"))
	taken := map[int]bool{}
	for _, folder := range folders {
		if st, err := os.Lstat(folder); err == nil {
			taken[int(st.Sys().(*syscall.Stat_t).Uid)] = true
		}
	}
	for {
		number = c.flags.SessionUsers.Next(c.user, taken)
		if number == 0 {
			return 0, nil, fmt.Errorf("all users of --session-users %v are in use", c.flags.SessionUsers)
		}
		c.user, taken[number] = number, true
		claim, err = sandbox.Claim(c.claims, number)
		if errors.Is(err, flock.ErrHeld) {
			continue // another server uses it, or will
		}
		if err != nil {
			return 0, nil, err
		}
		if !sandbox.Busy(number) { // checked under the claim, so that no other server begins to use it
			break
		}
		releaseClaim(claim)
	}
	if err := os.Lchown(work, number, number); err != nil {
		releaseClaim(claim)
		return 0, nil, fmt.Errorf("give the session's folder to its user: %w", err)
	}
	return number, claim, nil
}
