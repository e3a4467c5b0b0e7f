package kernel

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"syscall"

	"github.com/ergane-dev/ergane/internal/durable"
)

// errNotRegular refuses folders, links, pipes, sockets and devices.
var errNotRegular = errors.New("not a regular file")

// openRegular opens a file whose folder user code may write to. Nothing
// outside root is ever reached, a link is refused, a pipe does not block.
func openRegular(root *os.Root, name string, flag int) (*os.File, int64, error) {
	// os.Root follows links that stay inside; harmless, but no honest kernel makes one here.
	if st, err := root.Lstat(name); err != nil {
		return nil, 0, err
	} else if !st.Mode().IsRegular() {
		return nil, 0, fmt.Errorf("%s: %w", name, errNotRegular)
	}
	f, err := root.OpenFile(name, flag|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, 0, err
	}
	st, err := f.Stat()
	if err == nil && !st.Mode().IsRegular() {
		err = fmt.Errorf("%s: %w", name, errNotRegular)
	}
	if err != nil {
		f.Close()
		return nil, 0, err
	}
	return f, st.Size(), nil
}

// readSmall reads a whole file of at most maxDocument bytes.
func readSmall(root *os.Root, name string) ([]byte, error) {
	f, size, err := openRegular(root, name, os.O_RDONLY)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if size > maxDocument {
		return nil, fmt.Errorf("%s: %d bytes is too large", name, size)
	}
	return io.ReadAll(io.LimitReader(f, maxDocument)) // the size may have changed since
}

// readDocument parses a file of the kernel or the shim. The error is
// fs.ErrNotExist while the file is missing and a DocumentError if it is invalid.
func readDocument[T any](root *os.Root, name string, parse func([]byte) (T, error)) (T, error) {
	b, err := readSmall(root, name)
	var v T
	if err == nil {
		v, err = parse(b)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		err = &DocumentError{File: path.Base(name), Cause: err}
	}
	return v, err
}

// writeDurable replaces a file of the server's part of the session folder.
// After it returns nil the content survives a crash of the machine.
func writeDurable(root *os.Root, name string, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	f, err := durable.Create(root, name)
	if err == nil {
		err = f.Commit(b)
	}
	if err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	return nil
}

// overwrite writes a document over an existing one, in its disk blocks. The rest
// of the file is filled with spaces.
func overwrite(root *os.Root, name string, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	f, size, err := openRegular(root, name, os.O_WRONLY)
	if err != nil {
		return err
	}
	for int64(len(b)) < size {
		b = append(b, ' ')
	}
	_, err = f.WriteAt(b, 0)
	return errors.Join(err, f.Close())
}
