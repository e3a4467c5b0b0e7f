package sandbox

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"unsafe"

	"golang.org/x/sys/unix"
)

// What each version of Landlock's interface added. Rights that Linux does not know
// must not be named.
const (
	abiRefer  = 2 // renames from folder to folder; before, all of them failed
	abiScopes = 6 // signals and abstract sockets
)

const (
	readRights  = unix.LANDLOCK_ACCESS_FS_EXECUTE | unix.LANDLOCK_ACCESS_FS_READ_FILE | unix.LANDLOCK_ACCESS_FS_READ_DIR
	fileRights  = unix.LANDLOCK_ACCESS_FS_EXECUTE | unix.LANDLOCK_ACCESS_FS_READ_FILE | unix.LANDLOCK_ACCESS_FS_WRITE_FILE | unix.LANDLOCK_ACCESS_FS_TRUNCATE | unix.LANDLOCK_ACCESS_FS_IOCTL_DEV
	firstRights = 1<<13 - 1 // of version 1
)

// landlockABI is the version of Linux's Landlock; 0 if there is none.
func landlockABI() int {
	v, _, errno := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, 0, 0, unix.LANDLOCK_CREATE_RULESET_VERSION)
	if errno != 0 {
		return 0
	}
	return int(v)
}

// allRights are the rights on files that a version knows.
func allRights(abi int) uint64 {
	rights := uint64(firstRights)
	if abi >= abiRefer {
		rights |= unix.LANDLOCK_ACCESS_FS_REFER
	}
	if abi >= 3 {
		rights |= unix.LANDLOCK_ACCESS_FS_TRUNCATE
	}
	if abi >= 5 {
		rights |= unix.LANDLOCK_ACCESS_FS_IOCTL_DEV
	}
	return rights
}

// landlock denies this thread, and the program that it executes, all files except
// those of the view. From abiScopes on, it also denies abstract sockets of, and
// signals to, other processes than its descendants.
func landlock(v View, mounts bool) error {
	abi := landlockABI()
	if why := noLandlock(abi); why != "" {
		return errors.New(why)
	}
	attr := unix.LandlockRulesetAttr{Handled_access_fs: allRights(abi)}
	size := unsafe.Offsetof(attr.Handled_access_net)
	if abi >= abiScopes {
		attr.Scoped = unix.LANDLOCK_SCOPE_SIGNAL | unix.LANDLOCK_SCOPE_ABSTRACT_UNIX_SOCKET
		size = unsafe.Offsetof(attr.Quiet_access_fs)
	}
	fd, _, errno := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, uintptr(unsafe.Pointer(&attr)), size, 0)
	if errno != 0 {
		return fmt.Errorf("make rules: %w", errno)
	}
	defer unix.Close(int(fd))
	r := ruleset{int(fd), attr.Handled_access_fs}
	for _, g := range grants(v, mounts) {
		if err := r.allow(g.path, g.rights); err != nil {
			return err
		}
	}
	if _, _, errno := unix.Syscall(unix.SYS_LANDLOCK_RESTRICT_SELF, fd, 0, 0); errno != 0 {
		return fmt.Errorf("restrict: %w", errno)
	}
	return nil
}

// noLandlock says why a version is not sufficient; empty if it is.
func noLandlock(abi int) string {
	switch {
	case abi == 0:
		return "Linux has no Landlock here, or it is turned off (boot parameter lsm=)"
	case abi < abiRefer:
		return "Landlock has version 1 here, which allows no renames between folders; Linux 5.19 or newer is needed"
	}
	return ""
}

type grant struct {
	path   string
	rights uint64
}

const anything = ^uint64(0)

// grants translates the view to Landlock's rules.
func grants(v View, mounts bool) (all []grant) {
	add := func(path string, rights uint64, but ...string) {
		paths := []string{path}
		if !mounts { // with mounts, other mounts cover the exceptions
			paths = around(path, but)
		}
		for _, p := range paths {
			all = append(all, grant{p, rights})
		}
	}
	fixed := slices.Concat(v.Hidden, v.Read)
	for _, e := range v.entries() {
		switch e.kind {
		case toRead:
			add(e.path, readRights, v.Hidden...)
		case toWrite:
			add(e.path, anything, fixed...)
		}
	}
	all = append(all, grant{"/dev", unix.LANDLOCK_ACCESS_FS_READ_DIR}, grant{"/dev/shm", anything}, grant{"/dev/pts", anything}, grant{"/dev/ptmx", anything})
	for _, p := range devices {
		all = append(all, grant{p, anything})
	}
	// Without mounts these are the machine's own, unless they contain an exception.
	for _, p := range temporaries {
		if mounts || slices.Equal(around(p, fixed), []string{p}) {
			all = append(all, grant{p, anything})
		}
	}
	return all
}

type ruleset struct {
	fd      int
	handled uint64
}

// allow grants rights on a file or below a folder. A missing one is skipped.
func (r ruleset) allow(path string, rights uint64) error {
	fd, err := unix.Open(path, unix.O_PATH|unix.O_CLOEXEC, 0)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission) {
		return nil
	}
	if err != nil {
		return &os.PathError{Op: "open", Path: path, Err: err}
	}
	defer unix.Close(fd)
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return &os.PathError{Op: "stat", Path: path, Err: err}
	}
	if st.Mode&unix.S_IFMT != unix.S_IFDIR {
		rights &= fileRights
	}
	rule := unix.LandlockPathBeneathAttr{Allowed_access: rights & r.handled, Parent_fd: int32(fd)}
	_, _, errno := unix.Syscall6(unix.SYS_LANDLOCK_ADD_RULE, uintptr(r.fd), unix.LANDLOCK_RULE_PATH_BENEATH, uintptr(unsafe.Pointer(&rule)), 0, 0, 0)
	if errno != 0 {
		return &os.PathError{Op: "allow", Path: path, Err: errno}
	}
	return nil
}
