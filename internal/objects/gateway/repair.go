package gateway

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/versity/versitygw/backend/posix"

	"github.com/ergane-dev/ergane/internal/tree"
)

const (
	inProgress = ".inprogress"
	// abandonedAfter is how long after its last part an upload counts as
	// abandoned.
	abandonedAfter = 7 * 24 * time.Hour
	choresEvery    = 24 * time.Hour
)

// uploadsDir is the folder of a key's uploads; each upload has a folder in it.
func uploadsDir(key string) string {
	sum := sha256.Sum256([]byte(key))
	return filepath.Join(posix.MetaTmpMultipartDir, hex.EncodeToString(sum[:]))
}

func (p *durablePosix) uploadDir(bucket, key, upload string) string {
	return filepath.Join(p.dir, bucket, uploadsDir(key), upload)
}

// repair repairs what a process that died in a request left behind. It runs
// before the process listens. sameBoot says that the machine has not restarted
// since the last process; otherwise all unfinished uploads are removed, because
// their parts are not flushed and may be damaged.
func (p *durablePosix) repair(sameBoot bool, log *slog.Logger) error {
	buckets, err := os.ReadDir(p.dir)
	if err != nil {
		return err
	}
	for _, b := range buckets {
		temporary := filepath.Join(p.dir, b.Name(), posix.MetaTmpDir)
		entries, err := os.ReadDir(temporary)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		uploads := filepath.Base(posix.MetaTmpMultipartDir)
		for _, e := range entries {
			if e.Name() == uploads && sameBoot {
				continue
			}
			log.Info("embedded S3 removes temporary files", "bucket", b.Name(), "name", e.Name())
			if err := tree.Remove(filepath.Join(temporary, e.Name())); err != nil {
				return err
			}
			if p.sidecar != "" {
				if err := tree.Remove(filepath.Join(p.sidecar, b.Name(), posix.MetaTmpDir, e.Name())); err != nil {
					return err
				}
			}
		}
		if err := p.repairUploads(b.Name(), log); err != nil {
			return err
		}
	}
	return nil
}

// repairUploads makes uploads that a dead process was completing uploads that can
// be completed again; otherwise a client that tries again would get a success. If
// the object exists already, only the upload's files are removed.
func (p *durablePosix) repairUploads(bucket string, log *slog.Logger) error {
	return p.eachUpload(bucket, func(dir, name string, _ fs.DirEntry) error {
		if !strings.HasSuffix(name, inProgress) {
			return nil
		}
		upload, _, _ := strings.Cut(name, ".")
		from := filepath.Join(p.dir, bucket, dir, name)
		key, err := p.attributes.RetrieveAttribute(nil, bucket, dir, "objname")
		if err == nil && p.completed(bucket, string(key), upload) {
			log.Info("embedded S3 removes a completed upload", "bucket", bucket, "key", string(key), "upload", upload)
			if err := tree.Remove(from); err != nil {
				return err
			}
			_ = os.Remove(filepath.Dir(from)) // unless there are other uploads
			return p.attributes.DeleteAttributes(bucket, filepath.Join(dir, name))
		}
		log.Info("embedded S3 restores an upload that was half completed", "bucket", bucket, "key", string(key), "upload", upload)
		if err := p.attributes.RenameObject(bucket, filepath.Join(dir, name), filepath.Join(dir, upload)); err != nil {
			return err
		}
		return os.Rename(from, filepath.Join(filepath.Dir(from), upload))
	})
}

// eachUpload calls f for every upload of a bucket with its folder, relative to
// the bucket, and its name there.
func (p *durablePosix) eachUpload(bucket string, f func(dir, name string, e fs.DirEntry) error) error {
	keys, err := os.ReadDir(filepath.Join(p.dir, bucket, posix.MetaTmpMultipartDir))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, k := range keys {
		dir := filepath.Join(posix.MetaTmpMultipartDir, k.Name())
		uploads, err := os.ReadDir(filepath.Join(p.dir, bucket, dir))
		if err != nil {
			return err
		}
		for _, u := range uploads {
			if err := f(dir, u.Name(), u); err != nil {
				return err
			}
		}
	}
	return nil
}

// chores is the maintenance while requests are served, until ctx ends: once,
// unless the last process stopped cleanly, it removes files that were about to
// be renamed, and daily abandoned uploads.
func (p *durablePosix) chores(ctx context.Context, clean bool, log *slog.Logger) {
	if !clean {
		p.sweepRenames(ctx, time.Now(), log)
	}
	tick := time.NewTicker(choresEvery)
	defer tick.Stop()
	for {
		p.removeAbandoned(time.Now().Add(-abandonedAfter), log)
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// renaming is posix's name for the new version of an object just before it
// replaces the old one.
var renaming = regexp.MustCompile(`^\..+\.sgwtmp\.([0-9]{19})$`)

// sweepRenames removes such files from before the given time: they would be
// listed as objects.
func (p *durablePosix) sweepRenames(ctx context.Context, before time.Time, log *slog.Logger) {
	_ = filepath.WalkDir(p.dir, func(path string, d fs.DirEntry, err error) error {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			return nil // deleted meanwhile
		}
		if d.IsDir() {
			if d.Name() == posix.MetaTmpDir {
				return filepath.SkipDir
			}
			return nil
		}
		m := renaming.FindStringSubmatch(d.Name())
		if m == nil {
			return nil
		}
		if at, err := strconv.ParseInt(m[1], 10, 64); err == nil && at < before.UnixNano() {
			log.Info("embedded S3 removes a temporary file", "path", path)
			_ = os.Remove(path)
		}
		return nil
	})
}

// removeAbandoned removes uploads without a new part since the given time.
func (p *durablePosix) removeAbandoned(before time.Time, log *slog.Logger) {
	buckets, err := os.ReadDir(p.dir)
	if err != nil {
		log.Warn("embedded S3 cannot look for abandoned uploads", "error", err)
		return
	}
	for _, b := range buckets {
		err := p.eachUpload(b.Name(), func(dir, name string, e fs.DirEntry) error {
			fi, err := e.Info()
			if err != nil || fi.ModTime().After(before) || strings.HasSuffix(name, inProgress) {
				return nil
			}
			log.Info("embedded S3 removes an abandoned upload", "bucket", b.Name(), "upload", name)
			path := filepath.Join(p.dir, b.Name(), dir, name)
			if err := tree.Remove(path); err != nil {
				return err
			}
			_ = os.Remove(filepath.Dir(path))
			return p.attributes.DeleteAttributes(b.Name(), filepath.Join(dir, name))
		})
		if err != nil {
			log.Warn("embedded S3 cannot remove abandoned uploads", "bucket", b.Name(), "error", err)
		}
	}
}
