package host

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/google/uuid"

	"github.com/ergane-dev/ergane/internal/datadir"
	"github.com/ergane-dev/ergane/internal/delivery"
	"github.com/ergane-dev/ergane/internal/kernel"
	"github.com/ergane-dev/ergane/internal/tree"
)

func (h *Host) Spool(sessionID string) (delivery.Spool, error) {
	s, err := kernel.OpenSpool(h.dir(sessionID))
	if err != nil {
		return nil, damaged(err)
	}
	return sessionSpool{s}, nil
}

func (h *Host) Logs(sessionID string) ([]delivery.Section, error) {
	var parts []delivery.Section
	for _, path := range kernel.Logs(h.dir(sessionID)) {
		f, err := os.Open(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return parts, err
		}
		parts = append(parts, logPart{f})
	}
	return parts, nil
}

// logPart adapts a log file to session.Section.
type logPart struct{ *os.File }

func (p logPart) Len() int64 {
	info, err := p.Stat()
	if err != nil {
		return 0
	}
	return info.Size()
}

func (h *Host) Discard(sessionID string) error {
	return tree.Remove(filepath.Join(h.dir(sessionID), "work"))
}

func (h *Host) Trim(sessionID string) error {
	s, err := kernel.OpenSpool(h.dir(sessionID))
	if err != nil {
		return err
	}
	return errors.Join(s.Trim(), s.Close())
}

func (h *Host) LogSize(sessionID string) (sum int64, err error) {
	entries, err := os.ReadDir(h.dir(sessionID))
	for _, e := range entries {
		if info, err := e.Info(); err == nil && info.Mode().IsRegular() {
			sum += info.Size()
		}
	}
	return sum, err
}

func (h *Host) LogStored(sessionID string) (bool, error) {
	_, err := os.Stat(logStoredPath(h.dir(sessionID)))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}

func (h *Host) SetLogStored(sessionID string) error {
	f, err := os.OpenFile(logStoredPath(h.dir(sessionID)), os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	return f.Close()
}

// logStoredPath is the empty file that says that the session's log was stored.
func logStoredPath(dir string) string { return filepath.Join(dir, "log.stored") }

func (h *Host) Forget(sessionID string) error { return tree.Remove(h.dir(sessionID)) }

func (h *Host) Sessions() ([]string, error) {
	entries, err := os.ReadDir(datadir.Sessions(h.DataDir))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	var ids []string
	for _, e := range entries {
		if uuid.Validate(e.Name()) == nil {
			ids = append(ids, e.Name())
		}
	}
	return ids, err
}
