package engine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/ergane-dev/ergane/internal/durable"
)

// A tableFormat is one that Spark needs jars for. A session gets them if its
// properties name one of their classes, unless it names jars of the format itself.
type tableFormat struct {
	name string
	// classes are how the names of its classes begin.
	classes []string
	// artifact is part of the names of its jars in every version.
	artifact string
	// properties are those that users of Athena set to use it.
	properties map[string]string
}

// tableFormats are those that Athena documents, by name.
var tableFormats = []tableFormat{
	{
		name: "delta", artifact: "delta-",
		classes: []string{"io.delta.", "org.apache.spark.sql.delta."},
		properties: map[string]string{
			"spark.sql.catalog.spark_catalog": "org.apache.spark.sql.delta.catalog.DeltaCatalog",
			keyExtensions:                     "io.delta.sql.DeltaSparkSessionExtension",
		},
	},
	{
		name: "hudi", artifact: "hudi-spark",
		classes: []string{"org.apache.spark.sql.hudi.", "org.apache.hudi.", "org.apache.spark.HoodieSpark"},
		properties: map[string]string{
			"spark.sql.catalog.spark_catalog": "org.apache.spark.sql.hudi.catalog.HoodieCatalog",
			keyExtensions:                     "org.apache.spark.sql.hudi.HoodieSparkSessionExtension",
			"spark.serializer":                "org.apache.spark.serializer.KryoSerializer",
		},
	},
	{
		name: "iceberg", artifact: "iceberg-spark",
		classes: []string{"org.apache.iceberg."},
		properties: map[string]string{
			"spark.sql.catalog.spark_catalog": "org.apache.iceberg.spark.SparkSessionCatalog",
			keyExtensions:                     "org.apache.iceberg.spark.extensions.IcebergSparkSessionExtensions",
		},
	},
}

const (
	keyExtensions = "spark.sql.extensions"
	keyCatalog    = "spark.sql.catalog."
)

// namesClass reports whether a property's value names classes that the session loads.
func namesClass(key string) bool {
	return key == keyExtensions || key == "spark.kryo.registrator" || strings.HasPrefix(key, keyCatalog)
}

// formatsOf are the table formats whose jars a session with these properties gets, by name.
func formatsOf(properties map[string]string) (names []string) {
	own := properties["spark.jars"] + "," + properties["spark.jars.packages"]
	for _, f := range tableFormats {
		if strings.Contains(own, f.artifact) {
			continue
		}
		for key, value := range properties {
			if namesClass(key) && f.isNamedIn(value) {
				names = append(names, f.name)
				break
			}
		}
	}
	return names
}

func (f tableFormat) isNamedIn(value string) bool {
	for class := range strings.SplitSeq(value, ",") {
		if slices.ContainsFunc(f.classes, func(begin string) bool { return strings.HasPrefix(strings.TrimSpace(class), begin) }) {
			return true
		}
	}
	return false
}

// formatProperties are the properties of a kernel that is started ahead of
// sessions with the same table formats as these properties: those that most
// sessions with the formats have.
func formatProperties(properties map[string]string) map[string]string {
	usual := map[string]string{}
	for _, name := range formatsOf(properties) {
		for _, f := range tableFormats {
			if f.name != name {
				continue
			}
			for key, value := range f.properties {
				if key == keyExtensions && usual[key] != "" {
					value = usual[key] + "," + value
				}
				usual[key] = value
			}
		}
	}
	return usual
}

// Iceberg's classes for AWS Glue and for its own S3 client. Sessions use their own
// catalog and S3 client instead.
const (
	glueCatalog = "org.apache.iceberg.aws.glue.GlueCatalog"
	s3FileIO    = "org.apache.iceberg.aws.s3.S3FileIO"
)

// withoutGlue replaces what the properties of Iceberg's catalogs use of AWS alone.
func withoutGlue(properties map[string]string) {
	for key, value := range properties {
		if !strings.HasPrefix(key, keyCatalog) {
			continue
		}
		catalog, what, _ := strings.Cut(strings.TrimPrefix(key, keyCatalog), ".")
		prefix := keyCatalog + catalog + "."
		switch {
		case what == "catalog-impl" && value == glueCatalog, what == "type" && value == "glue":
			delete(properties, key)
			properties[prefix+"type"] = "hive"
		case what == "io-impl" && value == s3FileIO:
			delete(properties, key)
		}
	}
}

// lockedFormats are the jars of each table format that the engine knows.
func lockedFormats(spec Spec) (map[string][]jar, error) {
	raw, err := fs.ReadFile(spec.locks, "formats.json")
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read lock file: %w", err)
	}
	var formats map[string][]jar
	if err := json.Unmarshal(raw, &formats); err != nil {
		return nil, fmt.Errorf("read lock file formats.json: %w", err)
	}
	return formats, nil
}

func (e *Engine) formatDir(name string) string { return e.path("formats", name) }

// formatJars are the jars of the session's table formats. One that is not installed gives none.
func (e *Engine) formatJars(properties map[string]string) (jars []string) {
	for _, name := range formatsOf(properties) {
		found, _ := filepath.Glob(filepath.Join(e.formatDir(name), "*.jar"))
		slices.Sort(found)
		jars = append(jars, found...)
	}
	return jars
}

// MissingFormats are the table formats that sessions with these properties get
// jars for and that are not installed yet, by name. A format that the engine
// has no jars for is not among them: Spark says that a class is missing.
func (e *Engine) MissingFormats(properties map[string]string) (names []string) {
	allowed, _, err := CheckProperties(properties)
	if err != nil {
		return nil
	}
	known, _ := lockedFormats(e.spec)
	for _, name := range formatsOf(allowed) {
		if len(known[name]) > 0 && !exists(e.formatDir(name)) {
			names = append(names, name)
		}
	}
	return names
}

// Formats lists the table formats that the engine has jars for, by name, and which of them are installed.
func (e *Engine) Formats() (known, installed []string) {
	all, _ := lockedFormats(e.spec)
	for _, f := range tableFormats {
		if len(all[f.name]) == 0 {
			continue
		}
		known = append(known, f.name)
		if exists(e.formatDir(f.name)) {
			installed = append(installed, f.name)
		}
	}
	return known, installed
}

// InstallFormat makes sure that the jars of a table format are installed, each
// checked against the lock file; of two calls at once the second waits. progress
// is called as Options.Progress is; it may be nil. Errors that a person can fix are
// of the type *Problem.
func (e *Engine) InstallFormat(ctx context.Context, name string, progress func(Progress), log *slog.Logger) error {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	all, err := lockedFormats(e.spec)
	if err != nil {
		return err
	}
	jars := all[name]
	if len(jars) == 0 {
		known, _ := e.Formats()
		return fmt.Errorf("engine %s has no jars for the table format %q; it has them for: %s", e.spec.ID(), name, strings.Join(known, ", "))
	}
	in := &installation{
		Options: Options{Dir: filepath.Dir(e.dir), Spec: e.spec, Progress: progress, Log: log},
		dir:     e.dir, made: e.made, report: newReporter(progress),
	}
	if exists(e.formatDir(name)) {
		return nil
	}
	if err := in.makeFolders(); err != nil {
		return err
	}
	if err := in.lock(ctx); err != nil {
		return err
	}
	defer in.held.Release()
	if exists(e.formatDir(name)) { // by whoever had the lock
		return nil
	}
	return in.installFormat(ctx, name, jars)
}

// installFormat moves the jars into place once all are downloaded: if the folder exists, it is complete.
func (in *installation) installFormat(ctx context.Context, name string, jars []jar) error {
	var bytes int64
	for _, j := range jars {
		bytes += j.Bytes
	}
	in.report.say("format", fmt.Sprintf("downloading the table format %s (%d MB)", name, (bytes+1e6-1)/1e6))
	work := in.path("tmp", "format-"+name)
	fetched, err := in.fetchJars(ctx, "format", work, jars)
	if err != nil {
		return err
	}
	into := in.path("formats", name)
	err = errors.Join(os.MkdirAll(filepath.Dir(into), 0o755), syncTree(fetched), os.Rename(fetched, into), durable.SyncFolder(filepath.Dir(into)), os.RemoveAll(work))
	return explain("format", "", err)
}
