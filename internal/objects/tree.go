package objects

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path"
	"sync"
	"syscall"

	"golang.org/x/sync/errgroup"

	"github.com/ergane-dev/ergane"
)

const filesAtOnce = 8

// PutFile stores a local file. Its content type follows from its name.
func (c *Client) PutFile(ctx context.Context, uri, path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	return c.putOpen(ctx, uri, f)
}

func (c *Client) putOpen(ctx context.Context, uri string, f *os.File) error {
	fi, err := f.Stat()
	if err != nil {
		return err
	}
	if !fi.Mode().IsRegular() {
		return fmt.Errorf("%s is not a regular file", f.Name())
	}
	return c.Put(ctx, uri, f, fi.Size(), contentType(f.Name()), ergane.Delivery{})
}

// contentType knows the types that people look at. The machine's own table is
// not used, because it differs between machines.
func contentType(name string) string {
	switch path.Ext(name) {
	case ".py", ".txt", ".md", ".sql":
		return "text/plain; charset=utf-8"
	case ".csv":
		return "text/csv; charset=utf-8"
	case ".json":
		return "application/json"
	}
	return "application/octet-stream"
}

// A Stored is one step of PutTree: a file that is in S3 now, or that was left
// out and why.
type Stored struct {
	Name    string // relative to the folder, with slashes
	Size    int64
	Skipped string
}

// PutTree stores every regular file below the folder dir under uri, by its
// relative name. Nothing outside of dir is read: a symbolic link is followed to
// a file inside, and left out otherwise, as are links to folders, pipes and the
// like. progress, if not nil, is called once per file, one call at a time. The
// first error ends it; what is stored by then stays.
func (c *Client) PutTree(ctx context.Context, uri, dir string, progress func(Stored)) error {
	u, err := ParseURI(uri)
	if err != nil {
		return err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	var mu sync.Mutex // one call of progress at a time
	report := func(st Stored) {
		if progress != nil {
			mu.Lock()
			defer mu.Unlock()
			progress(st)
		}
	}
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(filesAtOnce)
	walked := fs.WalkDir(root.FS(), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || ctx.Err() != nil {
			return err
		}
		if d.IsDir() {
			return nil
		}
		fi, err := root.Stat(name) // fails for a link that leads out of the folder
		if err != nil && d.Type()&fs.ModeSymlink != 0 {
			report(Stored{Name: name, Skipped: "a link to no file in the folder"})
			return nil
		}
		if err != nil {
			return err
		}
		if !fi.Mode().IsRegular() {
			report(Stored{Name: name, Skipped: "not a regular file"})
			return nil
		}
		g.Go(func() error {
			f, err := root.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
			if err != nil {
				return err
			}
			defer f.Close()
			if err := c.putOpen(ctx, u.Below(name).String(), f); err != nil {
				return err
			}
			report(Stored{Name: name, Size: fi.Size()})
			return nil
		})
		return ctx.Err()
	})
	if err := g.Wait(); err != nil {
		return err
	}
	return walked
}
