package durable_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/ergane-dev/ergane/internal/durable"
)

func TestReplaceLeavesTheNewContentOrTheOld(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "file")
	for _, content := range []string{"first, and longer", "second"} {
		if err := durable.Replace(path, 0o640, []byte(content)); err != nil {
			t.Fatal(err)
		}
		if got, err := os.ReadFile(path); err != nil || string(got) != content {
			t.Fatalf("got %q, %v; want %q", got, err, content)
		}
	}
	if info, err := os.Stat(path); err != nil || info.Mode() != 0o640 {
		t.Fatalf("mode %v, %v", info.Mode(), err)
	}
	taken := filepath.Join(dir, "taken")
	if err := os.MkdirAll(filepath.Join(taken, "below"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := durable.Replace(taken, 0o600, nil); err == nil {
		t.Fatal("a folder was replaced by a file")
	}
	names, err := os.ReadDir(dir)
	if err != nil || len(names) != 2 {
		t.Fatalf("left behind: %v, %v", names, err)
	}
	if err := durable.Replace(filepath.Join(dir, "none", "file"), 0o600, nil); err == nil {
		t.Fatal("a file was written where there is no folder")
	}
}

func TestAFileTakesItsPlaceWhenItIsPut(t *testing.T) {
	t.Parallel()
	for name, put := range map[string]func(*durable.File, []byte) error{
		"durable": (*durable.File).Commit,
		"whole":   (*durable.File).Put,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir, root := folder(t)
			for _, content := range []string{"first, and longer", "second"} {
				f, err := durable.Create(root, "sub/file")
				if err != nil {
					t.Fatal(err)
				}
				if err := f.Truncate(1 << 10); err != nil { // as a preallocated one has more room
					t.Fatal(err)
				}
				if before, err := os.ReadFile(filepath.Join(dir, "sub", "file")); string(before) == content {
					t.Fatalf("the content is there before it is put: %v", err)
				}
				if err := put(f, []byte(content)); err != nil {
					t.Fatal(err)
				}
				if got, err := os.ReadFile(filepath.Join(dir, "sub", "file")); err != nil || string(got) != content {
					t.Fatalf("got %q, %v; want %q", got, err, content)
				}
			}
			only(t, filepath.Join(dir, "sub"), "file")
		})
	}
}

func TestWhatIsDiscardedOrCannotBePutLeavesWhatThereWas(t *testing.T) {
	t.Parallel()
	dir, root := folder(t)
	if err := os.MkdirAll(filepath.Join(dir, "sub", "taken", "below"), 0o700); err != nil {
		t.Fatal(err)
	}
	f, err := durable.Create(root, "sub/taken")
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Commit([]byte("x")); err == nil {
		t.Error("a folder was replaced by a file")
	}
	if f, err = durable.Create(root, "sub/file"); err != nil {
		t.Fatal(err)
	}
	f.Discard()
	only(t, filepath.Join(dir, "sub"), "taken")
}

// A process that was killed leaves the file that it was about to put in place.
func TestAFileThatWasLeftIsNotInTheWay(t *testing.T) {
	t.Parallel()
	dir, root := folder(t)
	left, err := durable.Create(root, "sub/file")
	if err != nil {
		t.Fatal(err)
	}
	left.Close()
	f, err := durable.Create(root, "sub/file")
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Commit([]byte("x")); err != nil {
		t.Fatal(err)
	}
	only(t, filepath.Join(dir, "sub"), "file")
	if _, err := durable.Create(root, "none/file"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("in a folder that is not there: %v", err)
	}
}

func folder(t *testing.T) (string, *os.Root) {
	t.Helper()
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "sub"), 0o700); err != nil {
		t.Fatal(err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { root.Close() })
	return dir, root
}

func only(t *testing.T, dir, name string) {
	t.Helper()
	names, err := os.ReadDir(dir)
	if err != nil || len(names) != 1 || names[0].Name() != name {
		t.Errorf("in the folder: %v, %v; want only %s", names, err, name)
	}
}
