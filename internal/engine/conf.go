package engine

import (
	"cmp"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"strings"
)

const (
	keyDriverMemory     = "spark.driver.memory"
	keyDriverOverhead   = "spark.driver.memoryOverhead"
	keyExecutorClasses  = "spark.executor.extraClassPath"
	defaultDriverMemory = "1g"
	logConfFile         = "log4j2.properties"
	s3aClass            = "org.apache.hadoop.fs.s3a.S3A"
	s3aFileSystem       = "org.apache.hadoop.fs.s3a.S3AFileSystem"
)

// baseConf is the configuration that a session starts from.
func (e *Engine) baseConf(spec LaunchSpec, memory string) map[string]string {
	conf := map[string]string{
		"spark.master":            spec.Master.String(),
		"spark.app.name":          "ergane",
		"spark.submit.deployMode": "client",
		keyDriverMemory:           memory,
		// Sessions must not reach each other: the block manager and the RPC server
		// require a secret and listen on loopback, and the UI, which requires none,
		// does not run.
		"spark.authenticate":       "true",
		"spark.driver.host":        "127.0.0.1",
		"spark.driver.bindAddress": "127.0.0.1",
		"spark.ui.enabled":         "false",
		// The bar would be mixed into the user's stderr.
		"spark.ui.showConsoleProgress": "false",

		"spark.sql.catalogImplementation": "in-memory",
		"spark.sql.warehouse.dir":         cmp.Or(spec.warehouse(), "file://"+filepath.Join(spec.WorkDir, "warehouse")),
		// toPandas and createDataFrame through Arrow; Spark falls back by itself
		// where a type does not allow it.
		"spark.sql.execution.arrow.pyspark.enabled": "true",
	}
	if spec.Catalog != "" {
		maps.Copy(conf, catalogConf(spec.Catalog, filepath.Join(spec.WorkDir, scratchDir, "hive")))
		if spec.CompareAndSet {
			conf["spark.hadoop.iceberg.engine.hive.lock-enabled"] = "false"
		}
	}
	for key, value := range s3aConf(spec.S3, filepath.Join(spec.WorkDir, scratchDir, "s3a")) {
		conf["spark.hadoop."+key] = value
	}
	if !spec.Master.Local() {
		e.executorConf(conf, spec)
	}
	return conf
}

// executorConf configures executors that run in processes of their own.
func (e *Engine) executorConf(conf map[string]string, spec LaunchSpec) {
	conf["spark.authenticate.secret"] = spec.Secret
	if !spec.Master.localCluster() {
		// The network between the machines may be shared: the driver listens where
		// Spark finds that executors can reach it, and encrypts all traffic.
		delete(conf, "spark.driver.host")
		delete(conf, "spark.driver.bindAddress")
		conf["spark.network.crypto.enabled"] = "true"
		return
	}
	// The UIs of a local cluster's master and workers cannot be turned off. They
	// listen on loopback, and can only show something.
	conf["spark.ui.killEnabled"] = "false"
	// Spark adds its own folder of jars behind these; the class data archive needs these to be first.
	conf[keyExecutorClasses] = strings.Join(e.jars, ":")
	var options []string
	for _, option := range append(e.executorOptions(filepath.Join(spec.WorkDir, scratchDir)), homeOptions(spec.Home)...) {
		options = append(options, quoteOption(option))
	}
	conf["spark.executor.extraJavaOptions"] = strings.Join(options, " ")
}

// quoteOption quotes an option for Spark, which splits options as a shell does.
func quoteOption(option string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(option) + `"`
}

// s3aConf makes s3:// and s3a:// addresses use the given S3.
func s3aConf(s3 S3, buffer string) map[string]string {
	if s3.Endpoint == "" {
		return nil
	}
	ssl := "false"
	if strings.HasPrefix(s3.Endpoint, "https://") {
		ssl = "true"
	}
	return map[string]string{
		"fs.s3.impl":                          s3aFileSystem,
		"fs.AbstractFileSystem.s3.impl":       s3aClass,
		"fs.s3a.endpoint":                     s3.Endpoint,
		"fs.s3a.endpoint.region":              cmp.Or(s3.Region, "us-east-1"),
		"fs.s3a.connection.ssl.enabled":       ssl,
		"fs.s3a.path.style.access":            "true",
		"fs.s3a.aws.credentials.provider":     "org.apache.hadoop.fs.s3a.SimpleAWSCredentialsProvider",
		"fs.s3a.access.key":                   s3.AccessKeyID,
		"fs.s3a.secret.key":                   s3.Secret,
		"fs.s3a.directory.marker.retention":   "keep", // else each write deletes its parents' markers in bulk
		"fs.s3a.fast.upload.buffer":           "disk",
		"fs.s3a.buffer.dir":                   buffer,
		"fs.s3a.connection.establish.timeout": "5000",
		// S3 may be unreachable for the seconds of a restart; the defaults would wait
		// for minutes.
		"fs.s3a.attempts.maximum": "5",
		"fs.s3a.retry.limit":      "5",
	}
}

// logConf sends warnings to the JVM's stderr, which is the session's log.
const logConf = `rootLogger.level = warn
rootLogger.appenderRef.stderr.ref = stderr

appender.stderr.type = Console
appender.stderr.name = stderr
appender.stderr.target = SYSTEM_ERR
appender.stderr.layout.type = PatternLayout
appender.stderr.layout.pattern = %d{yyyy-MM-dd HH:mm:ss.SSS} %p %c{1}: %m%n%ex

# Says in every session that there is no native code, which nobody expects.
logger.native.name = org.apache.hadoop.util.NativeCodeLoader
logger.native.level = error
# Looks for the file of a metrics configuration that s3a does not need.
logger.metrics.name = org.apache.hadoop.metrics2.impl.MetricsConfig
logger.metrics.level = error
`

func (in *installation) writeConf() error {
	err := os.MkdirAll(in.path("conf"), 0o755)
	if err == nil {
		err = writeFile(in.path("conf", logConfFile), []byte(logConf))
	}
	return explain("finish", "", err)
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return !errors.Is(err, os.ErrNotExist)
}
