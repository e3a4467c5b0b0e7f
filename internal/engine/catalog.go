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

// catalogConf makes a session use the metastore at an address. Nothing of it
// is asked for before the session's first use of the catalog.
func catalogConf(address, scratch string) map[string]string {
	return map[string]string{
		"spark.sql.catalogImplementation":  "hive",
		"spark.hadoop.hive.metastore.uris": address,
		// The metastore does what it does as itself, whoever asks for it: a call
		// less for each connection, and the first one is the one that matters,
		// which is what a server that cannot be used answers.
		"spark.hadoop.hive.metastore.execute.setugi": "false",
		// A metastore that is away is waited for as long as it takes to start
		// again, and not for the minutes that the defaults come to.
		"spark.hadoop.hive.metastore.connect.retries":            "2",
		"spark.hadoop.hive.metastore.client.connect.retry.delay": "1s",
		"spark.hadoop.hive.metastore.failure.retries":            "4",
		"spark.hadoop.hive.metastore.client.socket.timeout":      "120s",
		// Hive's client makes these at its start; the defaults are everybody's.
		"spark.hadoop.hive.exec.scratchdir":          filepath.Join(scratch, "scratch"),
		"spark.hadoop.hive.exec.local.scratchdir":    filepath.Join(scratch, "local"),
		"spark.hadoop.hive.downloaded.resources.dir": filepath.Join(scratch, "resources"),
		"spark.hadoop.hive.querylog.location":        filepath.Join(scratch, "log"),
	}
}

// MetastoreCommand is how a Hive Metastore of this engine's jars is started:
// its JVM with options, which a main class follows, and its environment, in
// which its S3 key is. tmp is its folder for scratch files. hadoop is what its
// configuration says of S3.
func (e *Engine) MetastoreCommand(tmp string, s3 S3, options []string) (argv, env []string, hadoop map[string]string) {
	argv = e.plainJavaCommand(metastoreHeap, tmp)
	// A heap that grows as it must, and not the class data archive, which is a
	// driver's: with it the process takes half as much memory again.
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
