package engine

import (
	"bytes"
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// archive is a class data archive (AppCDS): the classes of a driver as the JVM
// has them in memory, written by a training run. It works with exactly one JVM
// and class path.
type archive struct {
	Key string `json:"key"`
	// Files, in the engine's folder archive: the archive, preceded by that of the
	// JDK's own classes if the JVM has none. Empty if it could not be made; Failed
	// says why.
	Files   []string `json:"files"`
	Bytes   int64    `json:"bytes"`
	Failed  string   `json:"failed,omitempty"`
	Seconds float64  `json:"seconds"` // how long it took to make
}

//go:embed train.py
var trainer []byte

// archiveKey identifies the JVM and class path that an archive works with; the
// JVM checks the same things.
func (e *Engine) archiveKey() string {
	parts := []string{e.made.Java.Path, e.made.Java.VM, keyOf(string(trainer))}
	for _, file := range e.jars {
		st, err := os.Stat(file)
		if err != nil {
			continue
		}
		parts = append(parts, fmt.Sprintf("%s %d %d", file, st.Size(), st.ModTime().Unix()))
	}
	return keyOf(parts...)
}

// makeArchive makes the archive, unless the engine has it. Sessions work without
// one, but start slower: a failure is logged and recorded, not returned.
func (in *installation) makeArchive(ctx context.Context) error {
	if in.NoArchive {
		return nil
	}
	e := &Engine{spec: in.Spec, dir: in.dir, made: in.made}
	e.jars = classPath(e.sparkHome(), e.path("jars"))
	key := e.archiveKey()
	if in.made.Archive.Key == key && in.made.Archive.Failed == "" {
		return nil
	}
	in.report.say("archive", "starting Spark once, to make its later starts faster")
	began := time.Now()
	made, err := in.train(ctx, e, key)
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if err != nil {
		in.Log.Warn("no class data archive: sessions will start slower", keyEngine, in.Spec.ID(), keyError, err)
		made = archive{Failed: err.Error()}
	}
	made.Key, made.Seconds = key, time.Since(began).Round(100*time.Millisecond).Seconds()
	in.made.Archive = made
	return nil
}

// train runs a driver through what sessions do first, recording its classes.
func (in *installation) train(ctx context.Context, e *Engine, key string) (archive, error) {
	folder, tmp := in.path("archive"), in.path("tmp", "train")
	err := errors.Join(os.RemoveAll(tmp), os.MkdirAll(folder, 0o755),
		os.MkdirAll(filepath.Join(tmp, "tmp"), 0o755), os.MkdirAll(filepath.Join(tmp, scratchDir), 0o755))
	if err != nil {
		return archive{}, err
	}
	e.made.Archive = archive{}
	// An older archive stays as long as sessions may be started with it.
	older, err := filepath.Glob(filepath.Join(folder, "*.jsa"))
	if err != nil {
		return archive{}, err
	}
	top := filepath.Join(folder, key[:8]+".jsa")
	options := []string{"-XX:ArchiveClassesAtExit=" + top}
	files := []string{top}
	if bare, err := withoutBaseArchive(e.made.Java.Path); err != nil {
		return archive{}, err
	} else if bare {
		base := filepath.Join(folder, key[:8]+"-base.jsa")
		out, err := in.command(ctx, []string{e.made.Java.Path, "-Xshare:dump", "-XX:+UseSerialGC", "-XX:SharedArchiveFile=" + base}, in.environ(), nil)
		if err != nil {
			return archive{}, fmt.Errorf("dump the JDK's classes: %w: %s", err, lastLine(out))
		}
		options = append(options, "-XX:SharedArchiveFile="+base)
		files = []string{base, top}
	}
	// Nobody listens on port 1: enough to load the classes of an S3 client, and of sessions with a shared catalog.
	launch, err := e.Launch(LaunchSpec{WorkDir: tmp, Home: tmp, Catalog: "thrift://127.0.0.1:1", S3: S3{Endpoint: "http://127.0.0.1:1", AccessKeyID: "none", Secret: "none"}, Properties: map[string]string{
		"spark.hadoop.fs.s3a.attempts.maximum": "1", "spark.hadoop.fs.s3a.retry.limit": "0",
	}})
	if err != nil {
		return archive{}, err
	}
	launch.Java.Argv = append(append([]string{launch.Java.Argv[0]}, options...), launch.Java.Argv[1:]...)
	boot, err := json.Marshal(map[string]any{"java": launch.Java, "spark": launch.Spark})
	if err == nil {
		err = errors.Join(os.WriteFile(filepath.Join(tmp, "boot.json"), boot, 0o600), os.WriteFile(filepath.Join(tmp, "train.py"), bytes.TrimSpace(trainer), 0o600))
	}
	if err != nil {
		return archive{}, err
	}
	argv := []string{e.python(), "-s", filepath.Join(tmp, "train.py"), filepath.Join(tmp, "boot.json")}
	if out, err := in.command(ctx, argv, launch.Env, nil); err != nil {
		return archive{}, fmt.Errorf("training run: %w: %s", err, wordsOf(out))
	}
	var made archive
	for _, file := range files {
		st, err := os.Stat(file)
		if err != nil {
			return archive{}, fmt.Errorf("the JVM wrote no archive: %w", err)
		}
		made.Files, made.Bytes = append(made.Files, filepath.Base(file)), made.Bytes+st.Size()
	}
	for _, file := range older {
		if !slices.Contains(files, file) {
			err = errors.Join(err, os.Remove(file))
		}
	}
	return made, err
}

// withoutBaseArchive reports whether a JVM lacks the archive of the JDK's own
// classes, as runtimes made by jlink do.
func withoutBaseArchive(java string) (bool, error) {
	home := filepath.Dir(filepath.Dir(java))
	found, err := filepath.Glob(filepath.Join(home, "lib", "*", "classes.jsa"))
	return len(found) == 0, err
}
