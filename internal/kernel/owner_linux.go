package kernel

import (
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// giveFolder makes a session's user the owner of its work folder, which has only
// files of the server so far.
func giveFolder(dir string, user int) error {
	return filepath.WalkDir(filepath.Join(dir, workFolder), func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return os.Lchown(path, user, user)
	})
}

// owner is the user who owns a work folder, and so everything that is put into
// it; -1 if that is the server's user.
func owner(work *os.Root) int {
	st, err := work.Stat(".")
	if err != nil {
		return -1
	}
	sys, ok := st.Sys().(*syscall.Stat_t)
	if !ok || int(sys.Uid) == os.Geteuid() {
		return -1
	}
	return int(sys.Uid)
}

// makeFolder makes a folder in the work folder, for the kernel to use.
func (s *Spool) makeFolder(name string) error {
	if err := s.root.MkdirAll(name, 0o700); err != nil || s.owner < 0 {
		return err
	}
	// By descriptor, and no link: user code may have replaced the folder, but only by another of its own.
	d, err := s.root.OpenFile(name, os.O_RDONLY|syscall.O_DIRECTORY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Chown(s.owner, s.owner)
}

// give makes the kernel's user the owner of a file that was just made there.
func (s *Spool) give(f *os.File) error {
	if s.owner < 0 {
		return nil
	}
	return f.Chown(s.owner, s.owner)
}
