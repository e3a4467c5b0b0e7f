package store

import (
	"context"
	"errors"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/ergane-dev/ergane/internal/durable"
)

// create makes an empty database file that only its owner may read; SQLite
// gives its log files the same mode. A file that exists is not opened: closing
// any descriptor of it would drop the locks that this process holds on it.
func create(path string) error {
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	if info, err := os.Stat(path); err == nil {
		if info.Mode().Perm()&0o077 != 0 {
			return os.Chmod(path, 0o600)
		}
		return nil
	} else if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	return errors.Join(f.Close(), durable.SyncFolder(dir))
}

// begin makes an empty file one that can shrink (auto_vacuum), which later only
// Compact can do. It does not change any other file: to set the mode again would
// be a write for each connection, also to a database of a newer Ergane.
func begin(ctx context.Context, path string) error {
	info, err := os.Stat(path)
	if err != nil || info.Size() > 0 {
		return err
	}
	p, err := openPool(path, 1, shrinking)
	if err != nil {
		return err
	}
	// The first table makes the first page, in which the mode is stored. One
	// transaction, so that a kill does not leave the table for the next start.
	err = p.transact(ctx, func(ctx context.Context, t *tx) error {
		_, err := t.ExecContext(ctx, "CREATE TABLE begun (none INTEGER); DROP TABLE begun")
		return err
	})
	return errors.Join(err, p.close())
}

// shrinking is the option of a connection that makes or compacts a database. It
// must be set before the first write.
const shrinking = "_pragma=auto_vacuum(INCREMENTAL)"

// openPool opens connections to the file at path, which is absolute.
func openPool(path string, connections int, options ...string) (*pool, error) {
	return newPool(sqliteDialect, dataSource(path, options...), connections)
}

// dataSource is the driver's address of the file at path, which is absolute.
func dataSource(path string, options ...string) string {
	var all []string
	if slices.Contains(options, shrinking) {
		all = append(all, shrinking)
	}
	all = append(all, "_pragma=busy_timeout(10000)", "_pragma=journal_mode(WAL)", "_pragma=synchronous(FULL)", "_pragma=foreign_keys(1)")
	u := url.URL{Scheme: "file", Path: path, RawQuery: strings.Join(append(all, options...), "&")}
	return u.String()
}
