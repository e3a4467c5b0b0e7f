//go:build linux

package tree_test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ergane-dev/ergane/internal/tree"
)

func TestNoDepthDefeatsARemovalWith64Descriptors(t *testing.T) {
	t.Parallel()
	dir, root := workplace(t)
	nest(t, root, 3000, longName, nil) // a path of 600 KB, 150 times what the system takes
	if said := child(t, "removeall", dir, 0, 0); said == "" {
		t.Fatal("the tree is not deep enough for this test")
	}
	if said := child(t, "remove", dir, 0, 0); said != "" {
		t.Error(said)
	}
	gone(t, root)
}

// Each fork is at a level from which folders are moved, or are about to be.
func TestAWideTreeThatIsDeepGoesToo(t *testing.T) {
	t.Parallel()
	dir, root := workplace(t)
	var grow func(dir string, level int)
	grow = func(dir string, level int) {
		if level == 60 {
			return
		}
		for n := range 1 + level%15/14 { // two where it is a multiple of 15, less one
			sub := filepath.Join(dir, fmt.Sprint(n))
			must(t, os.Mkdir(sub, 0o700))
			must(t, os.WriteFile(filepath.Join(sub, "file"), nil, 0o600))
			grow(sub, level+1)
		}
	}
	grow(root, 0)
	for n := range 2000 { // more than are read at once
		must(t, os.WriteFile(filepath.Join(root, fmt.Sprint("file", n)), nil, 0o600))
	}
	if said := child(t, "remove", dir, 0, 0); said != "" {
		t.Error(said)
	}
	gone(t, root)
}

func TestFoldersWithoutPermissionsGoAsAnOrdinaryUser(t *testing.T) {
	t.Parallel()
	for _, mode := range []uint32{0o555, 0o444, 0o333, 0o111, 0} {
		t.Run(fmt.Sprintf("%o", mode), func(t *testing.T) {
			t.Parallel()
			dir, root := workplace(t)
			path, paths := root, []string(nil)
			for range 40 {
				path = filepath.Join(path, "d")
				must(t, os.Mkdir(path, 0o700))
				must(t, os.WriteFile(filepath.Join(path, "file"), nil, 0o400))
				paths = append(paths, path, filepath.Join(path, "file"))
			}
			own(t, paths...)
			slices.Reverse(paths)
			for _, p := range append(paths, root) {
				must(t, os.Chmod(p, fs.FileMode(mode)))
			}
			if said := child(t, "remove", dir, ordinary, 0); said != "" {
				t.Error(said)
			}
			gone(t, root)
		})
	}
}

func TestNothingOutsideIsTouched(t *testing.T) {
	t.Parallel()
	dir, root := workplace(t)
	outside := filepath.Join(dir, "outside")
	must(t, os.Mkdir(outside, 0o700))
	must(t, os.WriteFile(filepath.Join(outside, "theirs"), []byte("theirs"), 0o400))
	nest(t, root, 40, "d", func(at int) {
		must(t, unix.Symlinkat(outside, at, "folder"))
		must(t, unix.Symlinkat(filepath.Join(outside, "theirs"), at, "file"))
		must(t, unix.Symlinkat("..", at, "above"))
		must(t, unix.Linkat(unix.AT_FDCWD, filepath.Join(outside, "theirs"), at, "hard", 0))
		must(t, unix.Mkfifoat(at, "pipe", 0o600))
	})
	must(t, os.Symlink(outside, filepath.Join(root, "folder")))
	must(t, tree.Remove(root))
	gone(t, root)
	must(t, os.Symlink(outside, root))
	must(t, tree.Remove(root))
	gone(t, root)
	if b, err := os.ReadFile(filepath.Join(outside, "theirs")); err != nil || string(b) != "theirs" {
		t.Errorf("%q, %v", b, err)
	}
	if info, err := os.Stat(filepath.Join(outside, "theirs")); err != nil || info.Mode() != 0o400 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
}

func TestRemoveTakesFilesAndWhatIsNotThere(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	must(t, os.WriteFile(file, nil, 0o600))
	must(t, tree.Remove(file))
	gone(t, file)
	must(t, tree.Remove(file))
	must(t, tree.Remove(filepath.Join(dir, "no", "such", "folder")))
	empty := filepath.Join(dir, "empty")
	must(t, os.Mkdir(empty, 0))
	must(t, tree.Remove(empty+"/"))
	gone(t, empty)
	for _, path := range []string{"", ".", "..", "../..", "/"} {
		if err := tree.Remove(path); !errors.Is(err, unix.EINVAL) {
			t.Errorf("%q: %v", path, err)
		}
	}
}

func TestClearKeepsTheNamesGiven(t *testing.T) {
	t.Parallel()
	_, root := workplace(t)
	for _, name := range []string{"kept", "other"} {
		must(t, os.Mkdir(filepath.Join(root, name), 0o700))
		nest(t, filepath.Join(root, name), 40, "kept", nil)
	}
	for n := range 2000 {
		must(t, os.WriteFile(filepath.Join(root, fmt.Sprint(n)), nil, 0o600))
	}
	must(t, os.WriteFile(filepath.Join(root, "too"), nil, 0o600))
	d, err := os.Open(root)
	must(t, err)
	defer d.Close()
	_, err = d.Readdirnames(1) // where the descriptor reads does not matter
	must(t, err)
	must(t, tree.Clear(d, "kept", "too"))
	entries, err := os.ReadDir(root)
	must(t, err)
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	if !slices.Equal(names, []string{"kept", "too"}) {
		t.Errorf("left: %v", names)
	}
	if _, err := os.Stat(filepath.Join(root, strings.Repeat("kept/", 41), "..", "file")); err != nil {
		t.Error(err)
	}
}

// Somebody else's folder with something in it is one that cannot be removed.
func TestWhatCannotBeRemovedIsReportedAndTheRestRemoved(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("only root can make a folder that another user cannot remove")
	}
	dir, root := workplace(t)
	path := root
	for range 20 {
		for n := range 3 {
			must(t, os.Mkdir(filepath.Join(path, fmt.Sprint(n)), 0o700))
			own(t, filepath.Join(path, fmt.Sprint(n)))
		}
		path = filepath.Join(path, "1")
	}
	must(t, os.MkdirAll(filepath.Join(path, "root's", "folder"), 0o755))
	said := child(t, "remove", dir, ordinary, 0)
	if !strings.Contains(said, "root's/folder: "+unix.EACCES.Error()) {
		t.Errorf("it says %q", said)
	}
	var left int
	must(t, filepath.WalkDir(root, func(path string, _ fs.DirEntry, err error) error {
		if strings.HasSuffix(path, "/0") || strings.HasSuffix(path, "/2") {
			t.Errorf("%s is left", path)
		}
		left++
		return err
	}))
	if left > 23 {
		t.Errorf("%d folders are left", left)
	}
}

func removeMountPoint() error {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil { // of this process alone
		return err
	}
	if err := unix.Mount("none", "tree/d/mount", "tmpfs", 0, ""); err != nil {
		return err
	}
	if err := os.WriteFile("tree/d/mount/theirs", nil, 0o600); err != nil {
		return err
	}
	err := tree.Remove("tree")
	if !errors.Is(err, unix.EBUSY) {
		return fmt.Errorf("it says %w", err)
	}
	if _, err := os.Stat("tree/d/mount/theirs"); err != nil {
		return err
	}
	if entries, err := os.ReadDir("tree/d"); err != nil || len(entries) != 1 {
		return fmt.Errorf("left: %v, %v", entries, err)
	}
	return nil
}

func TestAMountPointIsLeftAlone(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("only root can mount")
	}
	dir, root := workplace(t)
	for _, name := range []string{"a", "mount", "z"} {
		must(t, os.MkdirAll(filepath.Join(root, "d", name, "sub"), 0o700))
	}
	if said := child(t, "mount", dir, 0, syscall.CLONE_NEWNS); said != "" {
		t.Error(said)
	}
}

func TestARemovalEndsEvenIfOthersKeepAdding(t *testing.T) {
	t.Parallel()
	for name, add := range map[string]func(root string, n int){
		"files": func(root string, n int) {
			_ = os.WriteFile(filepath.Join(root, fmt.Sprint(n)), nil, 0o600)
		},
		"folders in folders": func(root string, n int) {
			_ = os.MkdirAll(filepath.Join(root, strings.Repeat("d/", n%500)), 0o700)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, root := workplace(t)
			var adding sync.WaitGroup
			stop := make(chan struct{})
			for range 4 {
				adding.Go(func() {
					for n := 0; ; n++ {
						select {
						case <-stop:
							return
						default:
							_ = os.Mkdir(root, 0o700)
							add(root, n)
						}
					}
				})
			}
			_ = tree.RemoveWithin(root, 100*time.Millisecond) // it returns
			close(stop)
			adding.Wait()
			must(t, tree.Remove(root))
			gone(t, root)
		})
	}
}
