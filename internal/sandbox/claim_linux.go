package sandbox

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"syscall"

	"github.com/ergane-dev/ergane/internal/flock"
)

// ClaimsDir is the folder in which the servers of a machine claim users. Only root
// may open files in it: the lock of such a file claims a user.
const ClaimsDir = "/run/ergane/users"

// Claim claims a user, among all servers that use dir, for as long as the lock is
// held. It must be held from before the first process of the user starts until the
// last has ended. Claim makes dir and the folder above it if they are missing. The
// error is flock.ErrHeld if, and only if, the user is claimed already.
func Claim(dir string, user int) (_ *flock.Lock, err error) {
	// The owner of the upper folder could replace the lower one, so it is checked,
	// too. Others may read it, so that servers of other users find what to hide.
	err = ownFolder(filepath.Dir(dir), 0o755)
	if err == nil {
		err = ownFolder(dir, 0o700)
	}
	if err != nil {
		return nil, fmt.Errorf("claim user %d: %w", user, err)
	}
	lock, err := flock.Acquire(filepath.Join(dir, strconv.Itoa(user)))
	if err != nil {
		return nil, fmt.Errorf("claim user %d: %w", user, err)
	}
	return lock, nil
}

// ownFolder makes a folder if it is missing, and refuses one that another user can
// write to.
func ownFolder(dir string, mode fs.FileMode) error {
	if err := os.Mkdir(dir, mode); err != nil && !errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("make the folder of claims: %w; let the server write there, or start it with --sandbox off", err)
	}
	st, err := os.Lstat(dir)
	if err != nil {
		return err
	}
	why := ""
	switch me, owner := os.Geteuid(), int(st.Sys().(*syscall.Stat_t).Uid); {
	case !st.IsDir():
		why = "is not a folder"
	case owner != me:
		why = fmt.Sprintf("belongs to user %d and not to the server's, %d", owner, me)
	case st.Mode().Perm()&0o022 != 0:
		why = fmt.Sprintf("can be written by others (mode %04o)", st.Mode().Perm())
	default:
		return nil
	}
	return fmt.Errorf("%s %s, so others could take the users of sessions; remove it, and the server makes it again", dir, why)
}

// Busy reports whether a process on this machine runs as the user.
func Busy(user int) bool { return len(ProcessesOf(user)) > 0 }

// ProcessesOf lists the processes of a user.
func ProcessesOf(user int) (pids []int) {
	d, err := os.Open("/proc")
	if err != nil {
		return nil
	}
	defer d.Close()
	names, _ := d.Readdirnames(-1)
	for _, name := range names {
		if pid, err := strconv.Atoi(name); err == nil && IsOf(pid, user) {
			pids = append(pids, pid)
		}
	}
	return pids
}

// IsOf reports whether a process runs as the user.
func IsOf(pid, user int) bool {
	var st syscall.Stat_t
	return syscall.Stat("/proc/"+strconv.Itoa(pid), &st) == nil && int(st.Uid) == user
}
