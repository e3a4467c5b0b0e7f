package metastore

import (
	_ "embed"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/ergane-dev/ergane/internal/durable"
	"github.com/ergane-dev/ergane/internal/tree"
)

//go:embed Metastore.java
var source []byte

const (
	sourceName   = "Metastore.java"
	settingsName = "metastore.properties"
	databaseName = "derby"
	// compiler is Janino's, which is among Spark's jars: it compiles a file and runs a class of it.
	compiler = "org.codehaus.janino.SimpleCompiler"
)

// Options are JVM options, in addition to the engine's.
var Options = []string{
	"-Xss512k",                    // a thread for each connection
	"-XX:TieredStopAtLevel=1",     // small rather than fast
	"-XX:+ExitOnOutOfMemoryError", // the next one starts in seconds; this one might never answer again
	"-Dderby.stream.error.field=java.lang.System.err",
	"-Dderby.storage.pageCacheSize=400", // pages of 4 to 32 KB
}

// Prepare writes the files that a child needs to its folder, which no child may be using, and returns its main class
// with its arguments. warehouse is the s3:// address of the tables of the database default; hadoop is how the child
// reaches S3, without keys: those are in its environment.
func Prepare(folder, warehouse string, hadoop map[string]string) ([]string, error) {
	if strings.ContainsRune(folder, ';') {
		return nil, fmt.Errorf("the path of the catalog's folder, %s, has a semicolon, which Derby takes for the end of its database's address", folder)
	}
	if err := removeUnfinished(filepath.Join(folder, databaseName)); err != nil {
		return nil, fmt.Errorf("prepare the catalog: %w", err)
	}
	settings := maps.Clone(hadoop)
	if settings == nil {
		settings = map[string]string{}
	}
	maps.Copy(settings, map[string]string{
		"javax.jdo.option.ConnectionURL":        "jdbc:derby:;databaseName=" + filepath.Join(folder, databaseName) + ";create=true",
		"javax.jdo.option.ConnectionDriverName": "org.apache.derby.jdbc.EmbeddedDriver",
		"datanucleus.schema.autoCreateAll":      "true",
		"hive.metastore.schema.verification":    "false",
		"hive.metastore.warehouse.dir":          warehouse,
		// Spark changes the columns that Hive sees, which are not those of the table.
		"hive.metastore.disallow.incompatible.col.type.changes": "false",
		"hive.stats.autogather":                                 "false", // Spark keeps its own, and listing S3 is slow
	})
	var text strings.Builder
	for _, name := range slices.Sorted(maps.Keys(settings)) {
		fmt.Fprintf(&text, "%s=%s\n", name, propertyValue.Replace(settings[name]))
	}
	file, code := filepath.Join(folder, settingsName), filepath.Join(folder, sourceName)
	for path, content := range map[string][]byte{file: []byte(text.String()), code: source} {
		// The folder may belong to another user, who must be able to read the files and may have written others.
		if err := durable.Replace(path, 0o444, content); err != nil {
			return nil, fmt.Errorf("prepare the catalog: %w", err)
		}
	}
	return []string{compiler, code, strings.TrimSuffix(sourceName, ".java"), file}, nil
}

// removeUnfinished removes a database whose creation was interrupted: Derby writes
// service.properties last, and does not create a database in an existing folder.
// Such a database has no data that was acknowledged.
func removeUnfinished(database string) error {
	if fi, err := os.Lstat(database); err != nil || !fi.IsDir() {
		return nil // there is none, or it is no folder and Derby will say so
	}
	if _, err := os.Lstat(filepath.Join(database, "service.properties")); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return tree.Remove(database)
}

// propertyValue escapes a value in a Java properties file.
var propertyValue = strings.NewReplacer(`\`, `\\`, "\n", `\n`, "\r", `\r`)
