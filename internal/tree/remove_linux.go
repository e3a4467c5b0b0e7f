// Package tree removes and measures folders in which user code may have made
// anything. It works with descriptors instead of paths: it follows no link,
// reaches nothing outside the folder, works at any depth and length of paths, and
// needs at most a few dozen descriptors and some hundred KB of memory.
package tree

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// maxOpen is how many levels are open at once, with one descriptor each. With
	// the one above them, and one or two to enter a folder, a removal uses some 20.
	maxOpen = 16
	// maxRounds bounds how often a folder is read in which new entries keep
	// appearing.
	maxRounds = 16
	// patience bounds a removal: a process may add to the folder as fast as it is
	// emptied. If there is just very much in it, the next removal continues.
	patience = 10 * time.Minute
)

// Remove removes what is at path and all that is in it. Folders get the
// permissions that they lack for that. It removes all that it can and returns the
// first error. If there is nothing at path, that is no error.
func Remove(path string) error { return remove(path, patience) }

func remove(path string, patience time.Duration) error {
	above, name := filepath.Split(filepath.Clean(path))
	if name == "" || name == "." || name == ".." {
		return &fs.PathError{Op: "remove", Path: path, Err: unix.EINVAL}
	}
	at, err := openAt(unix.AT_FDCWD, filepath.Clean(above), unix.O_PATH|unix.O_DIRECTORY)
	if errors.Is(err, unix.ENOENT) {
		return nil
	}
	if err != nil {
		return &fs.PathError{Op: "remove", Path: above, Err: err}
	}
	defer unix.Close(at)
	r := begin(filepath.Clean(above), patience)
	r.remove(at, name)
	return r.err
}

// Clear removes what is in an open folder, except the names to keep, as Remove does.
func Clear(folder *os.File, keep ...string) error {
	raw, err := folder.SyscallConn()
	if err != nil {
		return err
	}
	var failed error
	err = raw.Control(func(fd uintptr) { failed = clearAt(int(fd), folder.Name(), keep) })
	return errors.Join(failed, err)
}

func clearAt(at int, name string, keep []string) error {
	// Opened again, because the position of the caller's descriptor must not change.
	fd, err := openFolder(at, ".")
	if err != nil {
		return &fs.PathError{Op: "clear", Path: name, Err: err}
	}
	defer unix.Close(fd)
	r := begin(filepath.Dir(name), patience)
	l := &level{fd: fd, name: filepath.Base(name)}
	r.levels = append(r.levels, l)
	for range maxRounds {
		if r.empty(l, keep) == 0 {
			break
		}
	}
	return r.err
}

// A removal goes down into folders until maxOpen of them are open. A deeper folder
// is moved up into the first of the open ones, and is removed when all else in that
// one has been. So every folder is reached, and only the number of moved folders
// has to be remembered.
type removal struct {
	above  string // the path of the folder in which the first level is
	levels []*level
	prefix string // of the names of moved folders; random, so that nobody can guess it
	until  time.Time
	late   bool  // until has passed
	err    error // the first one
}

// A level is a folder that is open.
type level struct {
	fd   int
	name string
	// moved counts the folders that were moved here, done those of them that were
	// tried to remove since.
	moved, done int
}

func begin(above string, patience time.Duration) *removal {
	return &removal{above: above, prefix: ".removed-" + rand.Text() + "-", until: time.Now().Add(patience)}
}

func (r *removal) movedName(n int) string { return fmt.Sprint(r.prefix, n) }

// remove removes an entry of a folder, or moves it up, and reports whether it could.
func (r *removal) remove(at int, name string) bool {
	err := unlink(at, name, 0)
	if err == unix.EISDIR {
		// A mount point is EBUSY here, also one with something in it.
		if err = unlink(at, name, unix.AT_REMOVEDIR); err == unix.ENOTEMPTY || err == unix.EEXIST {
			err = r.removeFolder(at, name)
		}
	}
	if err != nil && err != unix.ENOENT {
		r.fail("remove", name, err)
		return false
	}
	return true
}

func (r *removal) removeFolder(at int, name string) error {
	if len(r.levels) == maxOpen {
		return r.move(at, name)
	}
	fd, err := openFolder(at, name)
	if err == unix.ENOTDIR || err == unix.ELOOP {
		return unlink(at, name, 0) // it was a folder before
	}
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	l := &level{fd: fd, name: name}
	r.levels = append(r.levels, l)
	defer func() { r.levels = slices.Delete(r.levels, len(r.levels)-1, len(r.levels)) }()
	for range maxRounds {
		gone := r.empty(l, nil)
		err = unlink(at, name, unix.AT_REMOVEDIR)
		// A read may miss entries while others are being removed.
		if err != unix.ENOTEMPTY && err != unix.EEXIST || gone == 0 {
			break
		}
	}
	return err
}

// empty removes what is in a folder, except the names to keep, and returns how many
// entries it removed or moved up.
func (r *removal) empty(l *level, keep []string) (gone int) {
	if _, err := unix.Seek(l.fd, 0, unix.SEEK_SET); err != nil {
		r.fail("read", "", err)
		return 0
	}
	var batch [batchSize]byte
	var names []string
	for {
		n, err := readEntries(l.fd, batch[:])
		if err != nil && err != unix.ENOENT {
			r.fail("read", "", err)
			return gone
		}
		if n == 0 {
			break
		}
		_, _, names = unix.ParseDirent(batch[:n], -1, names[:0])
		for _, name := range names {
			if r.overdue() {
				return gone
			}
			if !slices.Contains(keep, name) && r.remove(l.fd, name) {
				gone++
			}
		}
	}
	for ; l.done < l.moved && !r.overdue(); l.done++ {
		if r.remove(l.fd, r.movedName(l.done)) {
			gone++
		}
	}
	return gone
}

// move moves a folder up to the first level, or if the file system does not allow
// that (another subvolume, or too many folders there) to the next one that it can.
func (r *removal) move(at int, name string) error {
	err := error(unix.EXDEV)
	for _, l := range r.levels[:len(r.levels)-1] {
		to := r.movedName(l.moved)
		err = rename(at, name, l.fd, to)
		if err == unix.EACCES || err == unix.EPERM {
			// Moving a folder writes its "..", which needs permissions on it.
			fd, failed := openFolder(at, name)
			if failed != nil {
				return failed
			}
			unix.Close(fd)
			err = rename(at, name, l.fd, to)
		}
		if err == nil {
			l.moved++
		}
		if err != unix.EXDEV && err != unix.EMLINK {
			break
		}
	}
	return err
}

// overdue reports whether the removal has taken too long.
func (r *removal) overdue() bool {
	if !r.late && time.Now().After(r.until) {
		r.late = true
		r.fail("remove", "", errors.New("it holds too much, or something keeps adding to it; the rest is left for the next removal"))
	}
	return r.late
}

func (r *removal) fail(op, name string, err error) {
	if r.err != nil {
		return
	}
	path := []string{r.above}
	for _, l := range r.levels {
		path = append(path, l.name)
	}
	r.err = &fs.PathError{Op: op, Path: filepath.Join(append(path, name)...), Err: err}
}
