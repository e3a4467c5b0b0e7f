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
	// forgottenAfter is the age at which an upload without new parts is
	// taken for one that nobody will complete.
	forgottenAfter = 7 * 24 * time.Hour
	choresEvery    = 24 * time.Hour
)

// uploadsDir holds, for one key, a folder per upload.
func uploadsDir(key string) string {
	sum := sha256.Sum256([]byte(key))
	return filepath.Join(posix.MetaTmpMultipartDir, hex.EncodeToString(sum[:]))
}

func (s *store) uploadDir(bucket, key, upload string) string {
	return filepath.Join(s.dir, bucket, uploadsDir(key), upload)
}

// repair puts right what a process that died in mid-request has left. It runs
// before the store listens. sameBoot says that the machine has not been started
// anew since the last process; otherwise all unfinished uploads are dropped,
// because their parts, which are not flushed, may be damaged.
func (s *store) repair(sameBoot bool, log *slog.Logger) error {
	buckets, err := os.ReadDir(s.dir)
	if err != nil {
		return err
	}
	for _, b := range buckets {
		temporary := filepath.Join(s.dir, b.Name(), posix.MetaTmpDir)
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
			log.Info("store removes left-overs", "bucket", b.Name(), "name", e.Name())
			if err := tree.Remove(filepath.Join(temporary, e.Name())); err != nil {
				return err
			}
			if s.sidecar != "" {
				if err := tree.Remove(filepath.Join(s.sidecar, b.Name(), posix.MetaTmpDir, e.Name())); err != nil {
					return err
				}
			}
		}
		if err := s.repairUploads(b.Name(), log); err != nil {
			return err
		}
	}
	return nil
}

// repairUploads takes back the claim that a dead process had on an upload it
// was completing: a client that asks again would be told of success. Where the
// object had appeared already, only the left-overs go.
func (s *store) repairUploads(bucket string, log *slog.Logger) error {
	return s.eachUpload(bucket, func(dir, name string, _ fs.DirEntry) error {
		if !strings.HasSuffix(name, inProgress) {
			return nil
		}
		upload, _, _ := strings.Cut(name, ".")
		from := filepath.Join(s.dir, bucket, dir, name)
		key, err := s.attributes.RetrieveAttribute(nil, bucket, dir, "objname")
		if err == nil && s.completed(bucket, string(key), upload) {
			log.Info("store ends a completed upload", "bucket", bucket, "key", string(key), "upload", upload)
			if err := tree.Remove(from); err != nil {
				return err
			}
			_ = os.Remove(filepath.Dir(from)) // unless there are other uploads
			return s.attributes.DeleteAttributes(bucket, filepath.Join(dir, name))
		}
		log.Info("store takes back a half-done completion", "bucket", bucket, "key", string(key), "upload", upload)
		if err := s.attributes.RenameObject(bucket, filepath.Join(dir, name), filepath.Join(dir, upload)); err != nil {
			return err
		}
		return os.Rename(from, filepath.Join(filepath.Dir(from), upload))
	})
}

// eachUpload calls f for every upload of a bucket with its folder, relative to
// the bucket, and its name there.
func (s *store) eachUpload(bucket string, f func(dir, name string, e fs.DirEntry) error) error {
	keys, err := os.ReadDir(filepath.Join(s.dir, bucket, posix.MetaTmpMultipartDir))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, k := range keys {
		dir := filepath.Join(posix.MetaTmpMultipartDir, k.Name())
		uploads, err := os.ReadDir(filepath.Join(s.dir, bucket, dir))
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

// chores is what may be done while requests are served: once, unless the last
// process ended in good order, a walk for files that were about to be renamed,
// and daily an end to forgotten uploads.
func (s *store) chores(ctx context.Context, clean bool, log *slog.Logger) {
	if !clean {
		s.sweepRenames(ctx, time.Now(), log)
	}
	tick := time.NewTicker(choresEvery)
	defer tick.Stop()
	for {
		s.forgetUploads(time.Now().Add(-forgottenAfter), log)
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// renaming is the name that posix gives to a new version of an object for the
// moment before it takes the place of the old one.
var renaming = regexp.MustCompile(`^\..+\.sgwtmp\.([0-9]{19})$`)

// sweepRenames removes such files from before the given time. They would show
// up as objects.
func (s *store) sweepRenames(ctx context.Context, before time.Time, log *slog.Logger) {
	_ = filepath.WalkDir(s.dir, func(path string, d fs.DirEntry, err error) error {
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
			log.Info("store removes a left-over", "path", path)
			_ = os.Remove(path)
		}
		return nil
	})
}

func (s *store) forgetUploads(before time.Time, log *slog.Logger) {
	buckets, err := os.ReadDir(s.dir)
	if err != nil {
		log.Warn("store cannot look for forgotten uploads", "error", err)
		return
	}
	for _, b := range buckets {
		err := s.eachUpload(b.Name(), func(dir, name string, e fs.DirEntry) error {
			fi, err := e.Info()
			if err != nil || fi.ModTime().After(before) || strings.HasSuffix(name, inProgress) {
				return nil
			}
			log.Info("store ends a forgotten upload", "bucket", b.Name(), "upload", name)
			path := filepath.Join(s.dir, b.Name(), dir, name)
			if err := tree.Remove(path); err != nil {
				return err
			}
			_ = os.Remove(filepath.Dir(path))
			return s.attributes.DeleteAttributes(b.Name(), filepath.Join(dir, name))
		})
		if err != nil {
			log.Warn("store cannot end forgotten uploads", "bucket", b.Name(), "error", err)
		}
	}
}
