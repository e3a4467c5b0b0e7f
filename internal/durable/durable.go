// Package durable replaces files so that a reader sees the whole old or the whole
// new content, also after a power failure.
package durable

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
)

// Replace writes a new file next to path and renames it to path. When it returns
// nil, content and name survive a crash of the machine; after an error, path has
// its old content.
func Replace(path string, mode fs.FileMode, content []byte) error {
	root, err := os.OpenRoot(filepath.Dir(path))
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	defer root.Close()
	name := filepath.Base(path)
	f, err := create(root, name, "."+name+"."+rand.Text())
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	if err := f.Chmod(mode); err != nil {
		f.Discard()
		return fmt.Errorf("write %s: %w", path, err)
	}
	if err := f.Commit(content); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return nil
}

// A File will replace another one. Commit, Put or Discard ends it. If Commit or
// Put fails, the new file is removed.
type File struct {
	*os.File
	root      *os.Root
	name, tmp string
}

// Create makes the file that will replace name, with the mode 0600. Until then
// its name is .NAME.tmp, and one that an earlier process left is removed: only one
// process at a time may do this for a name.
func Create(root *os.Root, name string) (*File, error) {
	tmp := path.Join(path.Dir(name), "."+path.Base(name)+".tmp")
	if err := root.Remove(tmp); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	return create(root, name, tmp)
}

func create(root *os.Root, name, tmp string) (*File, error) {
	f, err := root.OpenFile(tmp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, err
	}
	return &File{File: f, root: root, name: name, tmp: tmp}, nil
}

// Commit writes the content and replaces the other file. When it returns nil,
// content and name survive a crash of the machine.
func (f *File) Commit(content []byte) error {
	if err := f.put(content, f.Sync); err != nil {
		return err
	}
	d, err := f.root.Open(path.Dir(f.name))
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// Put is Commit without flushing to disk.
func (f *File) Put(content []byte) error {
	return f.put(content, func() error { return nil })
}

func (f *File) put(content []byte, flush func() error) error {
	_, err := f.WriteAt(content, 0)
	if err == nil {
		err = f.Truncate(int64(len(content))) // it may have been preallocated
	}
	if err == nil {
		err = flush()
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = f.root.Rename(f.tmp, f.name)
	}
	if err != nil {
		f.Discard()
	}
	return err
}

// Discard removes the new file.
func (f *File) Discard() {
	f.Close()
	f.root.Remove(f.tmp)
}

// SyncFolder makes the names in a folder survive a crash of the machine.
func SyncFolder(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
