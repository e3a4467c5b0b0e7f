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

// A tree is a part of the file system taken out of it, to be put into another.
type tree struct {
	fd     int
	path   string
	folder bool
	ifDir  bool // it is left out where the view has no folder there, and no room for one
}

// mounts gives this process a file system that has the view in it and nothing
// else: what is not there needs no permission to be denied, sockets included.
// The process is alone in its mount namespace.
func mounts(p *Policy) error {
	old := unix.Umask(0o022)
	defer unix.Umask(old)
	// What happens here stays here; what others unmount goes here, too.
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_SLAVE, ""); err != nil {
		return fmt.Errorf("detach from the mounts of the system: %w", err)
	}
	if p.Pids {
		if err := ownProc(); err != nil { // before the machine's is out of sight: without root it takes a whole one
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

// collected is all that the new file system is made of.
type collected struct {
	trees   []tree
	links   map[string]string
	hides   []string // folders that are empty
	devices []tree
}

// collect takes the parts of the view out of the file system, protected already.
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
		case errors.Is(err, fs.ErrNotExist), e.kind == hidden && errors.Is(err, fs.ErrPermission): // out of reach already
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

// take copies a part of the file system, with all that is mounted in it.
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

// emptyRoot makes an empty folder the root of everything; at is any folder to do it at.
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
	if err := unix.Unmount(".", unix.MNT_DETACH); err != nil { // the old one, which lies on the new one
		return fmt.Errorf("leave the old root: %w", err)
	}
	return unix.Chdir("/")
}

// place puts everything where it was.
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
		if st, err := os.Lstat(t.path); err != nil || !st.IsDir() { // in a /var that is the machine's: none, or a link
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

// makePoint makes what a mount needs to be mounted on.
func makePoint(path string, folder bool) error {
	if folder {
		return os.MkdirAll(path, 0o755)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDONLY, 0o644)
	if errors.Is(err, unix.EROFS) || errors.Is(err, fs.ErrPermission) { // it is there
		return nil
	}
	if err != nil {
		return err
	}
	return f.Close()
}

// protect makes one of our own folders read-only, once everything is in it.
func protect(path string) error {
	set := unix.MountAttr{Attr_set: unix.MOUNT_ATTR_RDONLY}
	if err := unix.MountSetattr(unix.AT_FDCWD, path, 0, &set); err != nil {
		return &os.PathError{Op: "protect", Path: path, Err: err}
	}
	return nil
}

// maxShared is the most that a session may keep in /dev/shm, in bytes: Spark
// keeps nothing there, and Python's multiprocessing and Arrow little.
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

// makeDev makes a /dev with what programs need. Its memory is the session's
// own, and /dev/shm has so many bytes.
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

// nameUser gives the process's user an entry of the system's lists, if it has
// none: Hadoop's login, for one, fails for a user without a name, and who is
// not in the lists' files is known to a service that is out of view.
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

// listed tells whether a list of users or groups has a number.
func listed(list []byte, id int) bool {
	for line := range bytes.Lines(list) {
		if fields := bytes.Split(line, []byte(":")); len(fields) > 2 && string(fields[2]) == strconv.Itoa(id) {
			return true
		}
	}
	return false
}
