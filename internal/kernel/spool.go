package kernel

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"

	"github.com/ergane-dev/ergane"
	"github.com/ergane-dev/ergane/internal/durable"
	"github.com/ergane-dev/ergane/internal/tree"
)

// A Spool reads the files of a kernel, whether the kernel lives or not. User code
// may have put anything there: nothing outside the session's work folder is
// reached, nothing blocks, and every document is bounded.
type Spool struct {
	root  *os.Root
	owner int // the user who owns the kernel's files; -1: the server's
}

// OpenSpool opens the spool of a session folder (sessions/<sid>).
func OpenSpool(dir string) (*Spool, error) {
	work := filepath.Join(dir, "work")
	// Checked first, because opening a named pipe in the folder's place would block.
	if st, err := os.Lstat(work); err != nil {
		return nil, fmt.Errorf("open spool: %w", err)
	} else if !st.IsDir() {
		return nil, fmt.Errorf("open spool: %s is not a folder", work)
	}
	root, err := os.OpenRoot(work)
	if err != nil {
		return nil, fmt.Errorf("open spool: %w", err)
	}
	return &Spool{root, owner(root)}, nil
}

// Trim removes everything except the spool: the files of user code. It is not
// for a kernel that lives.
func (s *Spool) Trim() error {
	work, err := s.root.Open(".")
	if err != nil {
		return err
	}
	return errors.Join(tree.Clear(work, string(ergane.Stdout), string(ergane.Stderr), "calc"), work.Close())
}

// Close frees the spool's descriptor; Sections that are open stay usable.
func (s *Spool) Close() error { return s.root.Close() }

// Outcome reads a calculation's outcome. It is false without an error while
// there is none. The error is a DocumentError if the file is invalid; if Unread
// is true of the error, the file cannot be read now.
func (s *Spool) Outcome(id string) (ergane.Outcome, bool, error) {
	return calcDocument(s, id, "outcome.json", parseOutcome)
}

// Started reads when the kernel began a calculation, and at which offsets; false if it has not.
func (s *Spool) Started(id string) (Started, bool, error) {
	return calcDocument(s, id, "started.json", parseStarted)
}

func calcDocument[T any](s *Spool, id, name string, parse func([]byte, string) (T, error)) (T, bool, error) {
	var none T
	if err := validID(id); err != nil {
		return none, false, err
	}
	v, err := readDocument(s.root, calcFile(id, name), func(b []byte) (T, error) { return parse(b, id) })
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return none, false, nil
	case err != nil:
		return none, false, err
	}
	return v, true, nil
}

func calcFile(id, name string) string { return path.Join("calc", id, name) }

// A Section is a part of a file, readable at any offset, until it is closed.
type Section struct {
	*io.SectionReader
	// Missing is how many bytes of the requested range the file does not have.
	Missing int64
	file    *os.File
}

// Close closes the file behind the section.
func (s *Section) Close() error { return s.file.Close() }

// Section opens a range of a stream, as far as the file goes. A missing file
// is fs.ErrNotExist. User code can make a file of any length without disk
// blocks, so the caller sets its own limit.
func (s *Spool) Section(stream ergane.Stream, r ergane.Range) (*Section, error) {
	return s.section(string(stream), r)
}

// Outputs opens the first n bytes of a calculation's rich outputs, n as its outcome records them.
func (s *Spool) Outputs(id string, n int64) (*Section, error) {
	if err := validID(id); err != nil {
		return nil, err
	}
	return s.section(calcFile(id, "outputs.ndjson"), ergane.Range{End: n})
}

func (s *Spool) section(name string, r ergane.Range) (*Section, error) {
	f, size, err := openRegular(s.root, name, os.O_RDONLY)
	if err != nil {
		return nil, fmt.Errorf("open spool file: %w", err)
	}
	r = validRange([2]int64{r.Start, r.End})
	there := ergane.Range{Start: min(r.Start, size), End: min(r.End, size)}
	return &Section{
		SectionReader: io.NewSectionReader(f, there.Start, there.Len()),
		Missing:       r.Len() - there.Len(),
		file:          f,
	}, nil
}

// Size is the present length of a stream in bytes; 0 before the kernel has made it.
func (s *Spool) Size(stream ergane.Stream) (int64, error) {
	st, err := s.root.Lstat(string(stream))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return 0, nil
	case err != nil:
		return 0, fmt.Errorf("size of spool: %w", err)
	case !st.Mode().IsRegular():
		return 0, fmt.Errorf("size of spool: %s: %w", stream, errNotRegular)
	}
	return st.Size(), nil
}

// Release frees the disk blocks of a range; offsets stay as they are, and the
// range reads as zeros from then on.
func (s *Spool) Release(stream ergane.Stream, r ergane.Range) error {
	f, size, err := openRegular(s.root, string(stream), os.O_WRONLY)
	if err != nil {
		return fmt.Errorf("release spool: %w", err)
	}
	defer f.Close()
	r = validRange([2]int64{r.Start, min(r.End, size)})
	if r.Len() == 0 {
		return nil
	}
	if err := punchHole(f, r); err != nil {
		return fmt.Errorf("release spool: %w", err)
	}
	return nil
}

// Remove deletes the files of a calculation that has been delivered, and no
// others, so that it is quick: what user code put into its folder stays until the
// session ends.
func (s *Spool) Remove(id string) error {
	if err := validID(id); err != nil {
		return err
	}
	var errs []error
	for _, name := range []string{"code.py", ".code.py.tmp", "started.json", ".started.json", "outcome.json", ".outcome.json", "outputs.ndjson", "interrupt", "."} {
		if err := s.root.Remove(calcFile(id, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// writeCode writes a calculation's code for the kernel, atomically. It is not
// synced to disk, because after a crash of the machine there is no kernel to read it.
func (s *Spool) writeCode(id, code string) error {
	if err := validID(id); err != nil {
		return err
	}
	name := calcFile(id, "code.py")
	if b, err := readSmall(s.root, name); err == nil && bytes.Equal(b, []byte(code)) {
		return nil
	}
	if err := s.makeFolder(path.Dir(name)); err != nil {
		return fmt.Errorf("write code: %w", err)
	}
	if err := s.put(name, []byte(code)); err != nil {
		return fmt.Errorf("write code: %w", err)
	}
	return nil
}

// put writes a file for the kernel, atomically. It is not synced to disk.
func (s *Spool) put(name string, content []byte) error {
	f, err := durable.Create(s.root, name)
	if err != nil {
		return err
	}
	if err := s.give(f.File); err != nil {
		f.Discard()
		return err
	}
	return f.Put(content)
}
