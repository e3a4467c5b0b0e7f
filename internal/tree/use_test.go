//go:build linux

package tree_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/ergane-dev/ergane/internal/tree"
)

func TestUseFollowsNoLinkAndStopsAtTheLimit(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	outside := filepath.Join(t.TempDir(), "large")
	write := func(path string, size int) {
		must(t, os.WriteFile(path, make([]byte, size), 0o600))
	}
	write(outside, 4<<20)
	must(t, os.Symlink(filepath.Dir(outside), filepath.Join(dir, "link")))
	must(t, os.Mkdir(filepath.Join(dir, "sub"), 0o700))
	write(filepath.Join(dir, "sub", "a"), 1<<20)
	if got, err := tree.Use(t.Context(), dir, 1<<40); err != nil || got < 1<<20 || got > 2<<20 {
		t.Errorf("%d bytes, %v", got, err)
	}
	if got, err := tree.Use(t.Context(), dir, 1000); err != nil || got <= 1000 {
		t.Errorf("%d bytes, %v over a limit of 1000", got, err)
	}
	for _, name := range []string{"gone", "link", "sub/a"} {
		if got, err := tree.Use(t.Context(), filepath.Join(dir, name), 1000); err != nil || got != 0 {
			t.Errorf("%d bytes, %v of what is no folder: %s", got, err, name)
		}
	}
	why := errors.New("why")
	ended, cancel := context.WithCancelCause(t.Context())
	cancel(why)
	if _, err := tree.Use(ended, dir, 1<<40); !errors.Is(err, why) {
		t.Errorf("%v after the end", err)
	}
}

func sayUse() error {
	use, err := tree.Use(context.Background(), "tree", math.MaxInt64)
	fmt.Print(use)
	return err
}

func TestNoDepthHidesUse(t *testing.T) {
	t.Parallel()
	dir, root := workplace(t)
	want := nest(t, root, 3000, longName, nil)
	if said := child(t, "use", dir, 0, 0); said != fmt.Sprint(want) {
		t.Errorf("%s, want %d", said, want)
	}
}

// When a folder is opened again, reading continues where it stopped: nothing is
// counted twice or skipped.
func TestUseOfAWideTreeThatIsDeep(t *testing.T) {
	t.Parallel()
	dir, root := workplace(t)
	for _, depth := range []int{0, 1, 31, 32, 33, 64, 100, 150} {
		at := filepath.Join(root, strings.Repeat("d/", depth))
		must(t, os.MkdirAll(at, 0o700))
		for n := range 700 { // more than are read at once
			must(t, os.Mkdir(filepath.Join(at, fmt.Sprint("folder", n)), 0o700))
			if n%100 == 0 {
				nest(t, filepath.Join(at, fmt.Sprint("folder", n)), n/4, "d", nil)
			}
		}
	}
	var want int64
	must(t, filepath.WalkDir(root, func(_ string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err == nil {
			want += info.Sys().(*syscall.Stat_t).Blocks * 512
		}
		return err
	}))
	if said := child(t, "use", dir, 0, 0); said != fmt.Sprint(want) {
		t.Errorf("%s, want %d", said, want)
	}
}

// A meddler moves a folder to another place after every 300 entries of a
// measurement.
type meddler struct {
	context.Context
	folder        string
	looked, moved int
	most          int // so often
	failed        error
}

func (m *meddler) Err() error {
	if m.looked++; m.looked%300 == 0 && m.moved < m.most {
		m.moved++
		elsewhere := filepath.Join(filepath.Dir(m.folder), fmt.Sprint("moved", m.moved))
		m.failed = errors.Join(m.failed, os.Mkdir(elsewhere, 0o700), os.Rename(m.folder, filepath.Join(elsewhere, "folder")))
		m.folder = filepath.Join(elsewhere, "folder")
	}
	return nil
}

func TestAFolderThatIsMovedIsMeasuredAgain(t *testing.T) {
	t.Parallel()
	for _, always := range []bool{false, true} {
		t.Run(fmt.Sprint("always ", always), func(t *testing.T) {
			t.Parallel()
			_, root := workplace(t)
			folder := filepath.Join(root, strings.Repeat("d/", 10))
			must(t, os.MkdirAll(folder, 0o700))
			nest(t, folder, 1000, "d", nil) // after 300 entries, the way back to the folder is long
			m := &meddler{Context: t.Context(), folder: folder, most: 1}
			if always {
				m.most = math.MaxInt
			}
			got, err := tree.Use(m, root, math.MaxInt64)
			must(t, m.failed)
			if always {
				if !errors.Is(err, tree.ErrLost) {
					t.Errorf("%d, %v", got, err)
				}
				return
			}
			if want, _ := tree.Use(t.Context(), root, math.MaxInt64); got != want || err != nil || m.moved != 1 {
				t.Errorf("%d, %v, want %d; moved %d times", got, err, want, m.moved)
			}
		})
	}
}

func TestEmptyFilesCount(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	const files, least = 100, 4 << 10
	for n := range files {
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprint(n)), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := tree.Use(t.Context(), dir, 1<<40); err != nil || got < files*least || got > (files+2)*least {
		t.Errorf("%d bytes, %v", got, err)
	}
}
