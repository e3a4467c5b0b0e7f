package store

import (
	"errors"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
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

// dataSource is the driver's address of the file at path, which is absolute.
func dataSource(path string, options ...string) string {
	u := url.URL{Scheme: "file", Path: path, RawQuery: strings.Join(append([]string{
		// Of a file that has something in it, it changes nothing until a VACUUM. Before the first write.
		"_pragma=auto_vacuum(INCREMENTAL)",
		"_pragma=busy_timeout(10000)",
		"_pragma=journal_mode(WAL)",
		"_pragma=synchronous(FULL)",
		"_pragma=foreign_keys(1)",
	}, options...), "&")}
	return u.String()
}
