package engine

import (
	"archive/tar"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"
)

// installPySpark downloads PySpark's source archive and unpacks it into
// site-packages as the wheel built from it would lie there. Building that
// wheel packs and unpacks 300 MB of jars and takes the better part of a minute.
func (in *installation) installPySpark(ctx context.Context) error {
	lock, err := in.lockFile("sdist.txt")
	if err != nil {
		return err
	}
	return in.step(ctx, "pyspark", lock.digest, func(ctx context.Context) error {
		archive, err := in.fetchPySpark(ctx, lock)
		if err != nil {
			return err
		}
		in.report.say("pyspark", "unpacking PySpark "+in.Spec.Spark)
		if err := in.unpackPySpark(ctx, archive); err != nil {
			return err
		}
		return explain("pyspark", "", os.RemoveAll(filepath.Dir(archive)))
	})
}

// fetchPySpark returns the archive's path. An archive that an earlier run
// downloaded is used if it is complete.
func (in *installation) fetchPySpark(ctx context.Context, lock lockFile) (string, error) {
	archive := in.path("download", "pyspark-"+in.Spec.Spark+".tar.gz")
	if in.isLocked(archive, lock) {
		in.report.bytes(lock.name, lock.download)
		return archive, nil
	}
	if err := os.RemoveAll(filepath.Dir(archive)); err != nil {
		return "", explain("pyspark", "", err)
	}
	in.report.say("pyspark", "downloading PySpark "+in.Spec.Spark)
	err := in.pip(ctx, "pyspark", lock, "download", "--no-deps", "--no-binary", ":all:", "--no-build-isolation",
		"--no-cache-dir", "--progress-bar", "raw", "--dest", filepath.Dir(archive))
	if err != nil {
		return "", err
	}
	if !in.isLocked(archive, lock) {
		return "", explain("pyspark", "incomplete download", errors.New("the archive does not have the locked hash"))
	}
	return archive, nil
}

var lockedHash = regexp.MustCompile(`--hash=sha256:([0-9a-f]{64})`)

// isLocked reports whether the file is there with a hash of the lock.
func (in *installation) isLocked(file string, lock lockFile) bool {
	sum, err := sha256Of(file)
	if err != nil {
		return false
	}
	for _, m := range lockedHash.FindAllStringSubmatch(string(lock.text), -1) {
		if m[1] == sum {
			return true
		}
	}
	return false
}

func sha256Of(file string) (string, error) {
	f, err := os.Open(file)
	if err != nil {
		return "", err
	}
	defer f.Close()
	sum := sha256.New()
	if _, err := io.Copy(sum, f); err != nil {
		return "", err
	}
	return hex.EncodeToString(sum.Sum(nil)), nil
}

// unpackPySpark unpacks beside site-packages and moves both folders in at the end.
func (in *installation) unpackPySpark(ctx context.Context, archive string) error {
	staging, err := os.MkdirTemp(in.path("tmp"), "pyspark-")
	if err != nil {
		return explain("pyspark", "", err)
	}
	defer os.RemoveAll(staging)
	info := "pyspark-" + in.Spec.Spark + ".dist-info"
	if err := unpack(ctx, archive, staging, info); err != nil {
		return explain("pyspark", "", fmt.Errorf("unpack PySpark: %w", err))
	}
	// importlib.metadata and pip list see it; without a RECORD pip leaves it alone.
	if err := os.WriteFile(filepath.Join(staging, info, "INSTALLER"), []byte("ergane\n"), 0o644); err != nil {
		return explain("pyspark", "", err)
	}
	for _, name := range []string{"pyspark", info} {
		to := filepath.Join(in.sitePackages(), name)
		if err := errors.Join(os.RemoveAll(to), os.Rename(filepath.Join(staging, name), to)); err != nil {
			return explain("pyspark", "", err)
		}
	}
	return nil
}

// placeOf maps a path of the source archive, below its one folder, to its
// place in site-packages. The wheel has examples, sample data and the cluster
// scripts, too: an engine has no use for them. It also has pyspark.zip and
// py4j's: they would shadow the compiled packages in every Python worker.
func placeOf(name, info string) (string, bool) {
	switch {
	case name == "PKG-INFO":
		return path.Join(info, "METADATA"), true
	case strings.HasPrefix(name, "pyspark/"):
		return name, true
	case strings.HasPrefix(name, "deps/jars/"), strings.HasPrefix(name, "deps/bin/"), strings.HasPrefix(name, "deps/licenses/"):
		return path.Join("pyspark", strings.TrimPrefix(name, "deps/")), true
	}
	return "", false
}

func unpack(ctx context.Context, archive, into, info string) error {
	f, err := os.Open(archive)
	if err != nil {
		return err
	}
	defer f.Close()
	root, err := os.OpenRoot(into)
	if err != nil {
		return err
	}
	defer root.Close()
	zip, err := gzip.NewReader(f)
	if err != nil {
		return fmt.Errorf("not a gzip file: %w", err)
	}
	files := tar.NewReader(zip)
	for ctx.Err() == nil {
		head, err := files.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		_, name, below := strings.Cut(path.Clean(head.Name), "/")
		place, wanted := placeOf(name, info)
		if !below || !wanted || head.Typeflag != tar.TypeReg {
			continue
		}
		if err := root.MkdirAll(path.Dir(place), 0o755); err != nil {
			return err
		}
		mode := os.FileMode(0o644) | os.FileMode(head.Mode)&0o111
		if err := writeFrom(files, root, place, mode); err != nil {
			return err
		}
	}
	return context.Cause(ctx)
}

func writeFrom(from io.Reader, root *os.Root, place string, mode os.FileMode) error {
	out, err := root.OpenFile(place, os.O_CREATE|os.O_EXCL|os.O_WRONLY, mode)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, from)
	return errors.Join(err, out.Close())
}
