package engine_test

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/ergane-dev/ergane"
	"github.com/ergane-dev/ergane/internal/engine"
)

func lockText(t *testing.T, folder, file string) string {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join("locks", folder, file))
	must(t, err)
	return string(raw)
}

func TestPropertiesThatSessionsMaySet(t *testing.T) {
	t.Parallel()
	asked := map[string]string{
		"spark.sql.shuffle.partitions":                    "4",
		"spark.sql.extensions":                            "org.apache.iceberg.spark.extensions.IcebergSparkSessionExtensions",
		"spark.sql.catalog.spark_catalog":                 "org.apache.iceberg.spark.SparkSessionCatalog",
		"spark.sql.catalog.my.warehouse":                  "s3://bucket/warehouse",
		"spark.sql.warehouse.dir":                         "s3://bucket/warehouse",
		"spark.sql.catalogImplementation":                 "hive",
		"spark.hadoop.fs.s3a.connection.maximum":          "50",
		"spark.hadoop.fs.s3a.bucket.other.endpoint":       "s3.eu-west-1.example",
		"spark.hadoop.fs.s3.useRequesterPaysHeader":       "true",
		"spark.hadoop.aws.glue.catalog.separator":         "/",
		"spark.hadoop.hive.metastore.uris":                "thrift://127.0.0.1:9083",
		"spark.executor.cores":                            "4",
		"spark.executor.memory":                           "10g",
		"spark.executor.instances":                        "2",
		"spark.dynamicAllocation.enabled":                 "true",
		"spark.dynamicAllocation.shuffleTracking.enabled": "true",
		"spark.driver.memory":                             "2g",
		"spark.driver.maxResultSize":                      "1g",
		"spark.jars":                                      "s3://bucket/a.jar",
		"spark.jars.packages":                             "org.example:a:1",
		"spark.serializer":                                "org.apache.spark.serializer.KryoSerializer",
		"spark.kryo.registrationRequired":                 "false",
		"spark.shuffle.compress":                          "true",
		"spark.default.parallelism":                       "8",
		"spark.databricks.delta.schema.autoMerge.enabled": "true",
		// What Athena's encryption check box sends.
		"spark.authenticate":           "true",
		"spark.io.encryption.enabled":  "true",
		"spark.network.crypto.enabled": "true",
		// A malformed value is Spark's to refuse.
		"spark.sql.ansi.enabled": "perhaps",
	}
	allowed, ignored, err := engine.CheckProperties(asked)
	must(t, err)
	if !maps.Equal(allowed, asked) || len(ignored) > 0 {
		t.Errorf("allowed %v, ignored %v", allowed, ignored)
	}
}

func TestPropertiesThatAreRefused(t *testing.T) {
	t.Parallel()
	// Each stands alone with a harmless value and must be refused by name.
	for _, key := range []string{
		"spark.master", "spark.submit.deployMode", "spark.submit.pyFiles", "spark.kubernetes.container.image", "spark.yarn.queue",
		"spark.authenticate", "spark.authenticate.secret", "spark.ui.enabled", "spark.ui.port", "spark.driver.host", "spark.driver.port",
		"spark.driver.bindAddress", "spark.plugins", "spark.plugins.defaultList", "spark.extraListeners", "spark.metrics.conf",
		"spark.driver.extraClassPath", "spark.driver.extraJavaOptions", "spark.driver.defaultJavaOptions", "spark.driver.extraLibraryPath",
		"spark.executor.extraJavaOptions", "spark.executor.extraClassPath", "spark.driver.userClassPathFirst", "spark.executorEnv.LD_PRELOAD",
		"spark.pyspark.python", "spark.python.daemon.module", "spark.python.worker.module", "spark.local.dir", "spark.connect.grpc.binding.port",
		"spark.ssl.enabled", "spark.acls.enable", "spark.redaction.regex", "spark.shuffle.service.enabled", "spark.network.crypto.saslFallback",
		"spark.sql.hive.metastore.jars", "spark.sql.hive.metastore.jars.path", "spark.hive.metastore.uris", "spark.athena.anything",
		"spark.hadoop.fs.s3a.endpoint", "spark.hadoop.fs.s3a.endpoint.region", "spark.hadoop.fs.s3a.access.key", "spark.hadoop.fs.s3a.secret.key",
		"spark.hadoop.fs.s3a.session.token", "spark.hadoop.fs.s3a.aws.credentials.provider", "spark.hadoop.fs.s3a.assumed.role.arn",
		"spark.hadoop.fs.s3a.security.credential.provider.path", "spark.hadoop.hadoop.security.credential.provider.path",
		"spark.hadoop.fs.s3.impl", "spark.hadoop.fs.s3a.impl", "spark.hadoop.fs.s3a.proxy.host", "spark.hadoop.yarn.resourcemanager.address",
		"spark.no.such.property", "spark.files", "spark.",
		// Spellings of refused keys (CVE-2025-66518, CVE-2026-62391: aliases passed a filter that the plain key did not).
		" spark.master", "spark.master\t", "\u00a0spark.master", "SPARK.MASTER", "spark.Master", "spark.UI.port", "spark.hadoop.FS.S3A.access.key",
		"spark.hadoop.fs.s3a.access.key ", "spark.hadoop.fs.s3a.access\u200b.key", "spark.hadoop.\x00fs.s3a.access.key", "spark.driver.extraJavaOptions=",
		"spark.sql.x y", "spark.sql.\nspark.master", "spark.ui\uff0eport",
	} {
		_, _, err := engine.CheckProperties(map[string]string{key: "0", "spark.sql.ansi.enabled": "true"})
		if ergane.CodeOf(err) != ergane.CodeInvalid || !strings.HasPrefix(err.Error(), "Spark property ") {
			t.Errorf("%q: %v", key, err)
		}
	}
}

func TestARefusalNamesTheKeyAndTheReason(t *testing.T) {
	t.Parallel()
	for key, want := range map[string]string{
		"spark.ui.port":          `Spark property "spark.ui.port" cannot be set: the server controls the Spark UI.`,
		"spark.athena.x":         `Spark property "spark.athena.x" cannot be set: the prefix spark.athena. is reserved.`,
		"spark.no.such.property": `Spark property "spark.no.such.property" cannot be set: it is not in the list of properties that sessions may set.`,
	} {
		if _, _, err := engine.CheckProperties(map[string]string{key: "1"}); err == nil || err.Error() != want {
			t.Errorf("%v, want %s", err, want)
		}
	}
}

func TestKeysOfOthersAreIgnoredAsOnAthena(t *testing.T) {
	t.Parallel()
	allowed, ignored, err := engine.CheckProperties(map[string]string{
		"NotebookId": "1", "driver.memory": "9g", "hive.metastore.uris": "x", "sparkling": "1", " spark.sql.ansi.enabled ": "true",
	})
	must(t, err)
	if !slices.Equal(ignored, []string{"NotebookId", "driver.memory", "hive.metastore.uris", "sparkling"}) || !maps.Equal(allowed, map[string]string{"spark.sql.ansi.enabled": "true"}) {
		t.Errorf("allowed %v, ignored %v", allowed, ignored)
	}
}

func TestOneKeyInTwoSpellingsIsRefused(t *testing.T) {
	t.Parallel()
	_, _, err := engine.CheckProperties(map[string]string{"spark.sql.ansi.enabled": "true", "spark.sql.ansi.enabled ": "false"})
	if err == nil || !strings.Contains(err.Error(), "given twice") {
		t.Errorf("the error is %v", err)
	}
}
