package engine

import (
	"maps"
	"path/filepath"
	"strconv"
	"strings"
)

// Bounds of a metastore's memory. The rest of its process takes as much again.
const (
	metastoreHeap = 112 << 20
	metastoreMeta = 96 << 20
)

// catalogConf makes a session use the metastore at an address. The session
// connects to it when it first uses the catalog.
func catalogConf(address, scratch string) map[string]string {
	return map[string]string{
		"spark.sql.catalogImplementation":  "hive",
		"spark.hadoop.hive.metastore.uris": address,
		// The metastore acts as its own user, whoever calls. Without this call the
		// first call of a connection is the one that the session wants answered, so a
		// metastore that cannot serve can answer it with the reason.
		"spark.hadoop.hive.metastore.execute.setugi": "false",
		// Wait for an unreachable metastore as long as it takes to start again, not
		// for the minutes of the defaults.
		"spark.hadoop.hive.metastore.connect.retries":            "2",
		"spark.hadoop.hive.metastore.client.connect.retry.delay": "1s",
		"spark.hadoop.hive.metastore.failure.retries":            "4",
		"spark.hadoop.hive.metastore.client.socket.timeout":      "120s",
		// Hive's client makes these folders at its start; the defaults are shared by all users.
		"spark.hadoop.hive.exec.scratchdir":          filepath.Join(scratch, "scratch"),
		"spark.hadoop.hive.exec.local.scratchdir":    filepath.Join(scratch, "local"),
		"spark.hadoop.hive.downloaded.resources.dir": filepath.Join(scratch, "resources"),
		"spark.hadoop.hive.querylog.location":        filepath.Join(scratch, "log"),
	}
}

// MetastoreCommand is how a Hive Metastore from this engine's jars is started:
// argv is its JVM with options, to which the caller adds the main class; env is its
// environment, with its S3 key. tmp is its folder for scratch files. hadoop is its
// configuration of S3.
func (e *Engine) MetastoreCommand(tmp string, s3 S3, options []string) (argv, env []string, hadoop map[string]string) {
	argv = e.plainJavaCommand(metastoreHeap, tmp)
	// A heap that starts small, and no class data archive: that is made for drivers,
	// and with it the process needs half as much memory again.
	argv = append(argv, "-Xms16m", "-XX:MaxMetaspaceSize="+strconv.Itoa(metastoreMeta>>20)+"m", "-XX:ReservedCodeCacheSize=24m")
	argv = append(argv, options...)
	argv = append(argv, "-cp", strings.Join(e.jars, ":"))
	vars := map[string]string{"PATH": systemPath, "HOME": tmp, "LANG": "C.UTF-8", "TZ": "UTC", "TMPDIR": tmp}
	hadoop = map[string]string{}
	if s3.Endpoint != "" {
		vars["AWS_ACCESS_KEY_ID"], vars["AWS_SECRET_ACCESS_KEY"] = s3.AccessKeyID, s3.Secret
		maps.Copy(hadoop, s3aConf(s3, filepath.Join(tmp, "s3a")))
		delete(hadoop, "fs.s3a.access.key")
		delete(hadoop, "fs.s3a.secret.key")
		hadoop["fs.s3a.aws.credentials.provider"] = "com.amazonaws.auth.EnvironmentVariableCredentialsProvider"
	}
	return argv, environment(vars), hadoop
}
