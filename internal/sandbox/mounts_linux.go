package sandbox

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"

	"golang.org/x/sys/unix"
)

// A tree is a copy of a mounted part of the file system, to be mounted in another one.
type tree struct {
	fd     int
	path   string
	folder bool
	ifDir  bool // it is left out if there is no folder at path and none can be made
}

// mounts gives this process a file system that contains only the view: what is
// not in it, sockets included, cannot be reached whatever its permissions are. The
// process must be alone in its mount namespace.
func mounts(p *Policy) error {
	old := unix.Umask(0o022)
	defer unix.Umask(old)
	// Mounts made here are not seen outside; what is unmounted outside is unmounted here.
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_SLAVE, ""); err != nil {
		return fmt.Errorf("detach from the mounts of the system: %w", err)
	}
	if p.Pids {
		if err := ownProc(); err != nil { // before the machine's is hidden: without root, Linux requires a fully visible one
			return err
		}
	}
	view, err := collect(p.View)
	if err != nil {
		return err
	}
	if err := emptyRoot(p.Dir); err != nil {
		return err
	}
	if err := view.place(); err != nil {
		return err
	}
	if err := makeDev(view.devices, p.shared()); err != nil {
		return fmt.Errorf("make /dev: %w", err)
	}
	if err := nameUser(p); err != nil {
		return fmt.Errorf("name the user: %w", err)
	}
	for _, path := range append(view.hides, "/") {
		if err := protect(path); err != nil {
			return err
		}
	}
	return nil
}

// collected is the content of the new file system.
type collected struct {
	trees   []tree
	links   map[string]string
	hides   []string // folders that are shown empty
	devices []tree
}

// collect copies the parts of the view, with their protection set.
func collect(v View) (c collected, err error) {
	c.links = map[string]string{}
	add := func(path, from string, attr uint64) error {
		t, err := take(from, attr)
		if err == nil {
			t.path = path
			c.trees = append(c.trees, t)
		}
		return err
	}
	for _, e := range v.withTmp() {
		if e.kind == temporary {
			if err := add(e.path, v.Tmp, unix.MOUNT_ATTR_NOSUID|unix.MOUNT_ATTR_NODEV); err != nil {
				return c, err
			}
			c.trees[len(c.trees)-1].ifDir = true
			continue
		}
		st, err := os.Lstat(e.path)
		if err == nil && st.Mode()&fs.ModeSymlink != 0 && filepath.Dir(e.path) != "/" {
			st, err = os.Stat(e.path)
		}
		switch {
		case errors.Is(err, fs.ErrNotExist), e.kind == hidden && errors.Is(err, fs.ErrPermission): // not accessible anyway
			continue
		case err != nil:
			return c, err
		case st.Mode()&fs.ModeSymlink != 0: // as /bin on most systems
			if c.links[e.path], err = os.Readlink(e.path); err != nil {
				return c, err
			}
			continue
		case e.kind == hidden && st.IsDir():
			c.hides = append(c.hides, e.path)
			c.trees = append(c.trees, tree{fd: -1, path: e.path, folder: true})
			continue
		case e.kind == hidden:
			err = add(e.path, os.DevNull, unix.MOUNT_ATTR_RDONLY|unix.MOUNT_ATTR_NODEV)
		case e.kind == toWrite:
			err = add(e.path, e.path, unix.MOUNT_ATTR_NOSUID|unix.MOUNT_ATTR_NODEV)
		default:
			err = add(e.path, e.path, unix.MOUNT_ATTR_RDONLY|unix.MOUNT_ATTR_NOSUID|unix.MOUNT_ATTR_NODEV)
		}
		if err != nil {
			return c, err
		}
	}
	for _, path := range devices {
		if t, err := take(path, unix.MOUNT_ATTR_NOSUID|unix.MOUNT_ATTR_NOEXEC); err == nil {
			c.devices = append(c.devices, t)
		}
	}
	return c, nil
}

// take copies a part of the file system, including what is mounted in it.
func take(path string, attr uint64) (tree, error) {
	st, err := os.Stat(path)
	if err != nil {
		return tree{}, err
	}
	fd, err := unix.OpenTree(unix.AT_FDCWD, path, unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC|unix.AT_RECURSIVE)
	if err != nil {
		return tree{}, &os.PathError{Op: "copy mount", Path: path, Err: err}
	}
	set := unix.MountAttr{Attr_set: attr}
	if err := unix.MountSetattr(fd, "", unix.AT_EMPTY_PATH|unix.AT_RECURSIVE, &set); err != nil {
		return tree{}, &os.PathError{Op: "protect mount", Path: path, Err: err}
	}
	return tree{fd: fd, path: path, folder: st.IsDir()}, nil
}

// emptyRoot makes an empty file system the root; at is any folder, to mount it on.
func emptyRoot(at string) error {
	if err := unix.Mount("tmpfs", at, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, "mode=755,size=16m"); err != nil {
		return fmt.Errorf("mount an empty folder: %w", err)
	}
	if err := unix.Chdir(at); err != nil {
		return err
	}
	if err := unix.PivotRoot(".", "."); err != nil {
		return fmt.Errorf("change the root: %w", err)
	}
	if err := unix.Unmount(".", unix.MNT_DETACH); err != nil { // the old root, which is on top of the new one
		return fmt.Errorf("leave the old root: %w", err)
	}
	return unix.Chdir("/")
}

// place mounts everything at its path.
func (c collected) place() error {
	for path, to := range c.links {
		if err := os.Symlink(to, path); err != nil {
			return err
		}
	}
	for _, t := range c.trees {
		if err := t.place(); err != nil {
			return err
		}
	}
	return os.MkdirAll("/tmp", 0o755)
}

func (t tree) place() error {
	if t.fd >= 0 {
		defer unix.Close(t.fd)
	}
	err := makePoint(t.path, t.folder)
	if t.ifDir {
		if st, err := os.Lstat(t.path); err != nil || !st.IsDir() { // the machine's /var may have none, or a link
			return nil
		}
	}
	if err != nil {
		return err
	}
	if t.fd < 0 {
		return unix.Mount("tmpfs", t.path, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, "mode=755,size=1m")
	}
	if err := unix.MoveMount(t.fd, "", unix.AT_FDCWD, t.path, unix.MOVE_MOUNT_F_EMPTY_PATH); err != nil {
		return &os.PathError{Op: "mount", Path: t.path, Err: err}
	}
	return nil
}

// makePoint makes the mount point for a file or a folder.
func makePoint(path string, folder bool) error {
	if folder {
		return os.MkdirAll(path, 0o755)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDONLY, 0o644)
	if errors.Is(err, unix.EROFS) || errors.Is(err, fs.ErrPermission) { // it exists
		return nil
	}
	if err != nil {
		return err
	}
	return f.Close()
}

// protect makes a folder of the new file system read-only.
func protect(path string) error {
	set := unix.MountAttr{Attr_set: unix.MOUNT_ATTR_RDONLY}
	if err := unix.MountSetattr(unix.AT_FDCWD, path, 0, &set); err != nil {
		return &os.PathError{Op: "protect", Path: path, Err: err}
	}
	return nil
}

// maxShared is the most that a session may store in /dev/shm, in bytes: Spark
// stores nothing there, and Python's multiprocessing and Arrow little.
const maxShared = 1 << 30

// shared is how many bytes /dev/shm may hold: maxShared, or a quarter of the
// machine's memory or the group's limit if that is less.
func (p *Policy) shared() int64 {
	size := int64(maxShared)
	var info unix.Sysinfo_t
	if unix.Sysinfo(&info) == nil {
		size = min(size, int64(info.Totalram)*int64(info.Unit)/4)
	}
	if p.Group != nil && p.Group.Memory > 0 {
		size = min(size, p.Group.Memory)
	}
	return size
}

// makeDev makes a /dev with what programs need. /dev/shm is the session's own and
// has the size shared, in bytes.
func makeDev(devices []tree, shared int64) error {
	for _, t := range devices {
		if err := t.place(); err != nil {
			return err
		}
	}
	for _, m := range []struct{ path, kind, options string }{
		{"/dev/shm", "tmpfs", fmt.Sprintf("mode=1777,size=%d", shared)},
		{"/dev/pts", "devpts", "newinstance,ptmxmode=0666,mode=620"},
	} {
		if err := os.MkdirAll(m.path, 0o755); err != nil {
			return err
		}
		if err := unix.Mount(m.kind, m.path, m.kind, unix.MS_NOSUID|unix.MS_NOEXEC, m.options); err != nil {
			return &os.PathError{Op: "mount", Path: m.path, Err: err}
		}
	}
	for path, to := range map[string]string{
		"/dev/fd": "/proc/self/fd", "/dev/stdin": "/proc/self/fd/0", "/dev/stdout": "/proc/self/fd/1",
		"/dev/stderr": "/proc/self/fd/2", "/dev/ptmx": "pts/ptmx",
	} {
		if err := os.Symlink(to, path); err != nil {
			return err
		}
	}
	return nil
}

// nameUser adds the process's user and group to /etc/passwd and /etc/group, if
// they have no entry: Hadoop's login fails for a user without a name, and services
// that know other users cannot be reached from the sandbox.
func nameUser(p *Policy) error {
	if p.Name == "" {
		return nil
	}
	user, group := p.User, p.User
	if user == 0 {
		user, group = os.Geteuid(), os.Getegid()
	}
	for _, list := range []struct {
		path, line string
		id         int
	}{
		{"/etc/passwd", fmt.Sprintf("%s:x:%d:%d::%s:/bin/sh\n", p.Name, user, group, p.Home), user},
		{"/etc/group", fmt.Sprintf("%s:x:%d:\n", p.Name, group), group},
	} {
		path := list.path
		rest, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) || err == nil && p.User == 0 && listed(rest, list.id) {
			continue
		}
		if err != nil {
			return err
		}
		ours := "/." + filepath.Base(path)
		if err := os.WriteFile(ours, append([]byte(list.line), rest...), 0o644); err != nil {
			return err
		}
		t, err := take(ours, unix.MOUNT_ATTR_RDONLY)
		if err != nil {
			return err
		}
		t.path = path
		if err := t.place(); err != nil {
			return err
		}
	}
	return nil
}

// listed reports whether a list of users or groups has an id.
func listed(list []byte, id int) bool {
	for line := range bytes.Lines(list) {
		if fields := bytes.Split(line, []byte(":")); len(fields) > 2 && string(fields[2]) == strconv.Itoa(id) {
			return true
		}
	}
	return false
}
