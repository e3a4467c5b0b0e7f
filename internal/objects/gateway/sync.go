package gateway

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// syncPath flushes one file or folder. One that was removed meanwhile needs no
// flush: its removal is recorded in the folder above.
func syncPath(path string) error {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) {
		return nil
	}
	if err != nil {
		return err
	}
	defer f.Close()
	return f.Sync()
}

// syncChain flushes the folders from dir up to and including top.
func syncChain(dir, top string) error {
	for ; len(dir) >= len(top); dir = filepath.Dir(dir) {
		if err := syncPath(dir); err != nil {
			return err
		}
	}
	return nil
}

// syncSurvivor flushes the deepest folder of the chain that still exists: that
// one recorded the removal of everything below it.
func syncSurvivor(dir, top string) error {
	for ; len(dir) >= len(top); dir = filepath.Dir(dir) {
		if _, err := os.Lstat(dir); err == nil {
			return syncPath(dir)
		}
	}
	return nil
}
