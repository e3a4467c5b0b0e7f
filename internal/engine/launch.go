package engine

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// S3 is the S3 that s3:// and s3a:// addresses use in a session.
type S3 struct {
	Endpoint    string // http://127.0.0.1:7481; empty leaves Spark without S3
	Region      string
	AccessKeyID string
	Secret      string
}

// LaunchSpec describes the session that a kernel and its JVM are started for.
type LaunchSpec struct {
	// WorkDir is the kernel's folder of the session. WorkDir/tmp is its working
	// directory. WorkDir/java has the driver's own files, so that code which empties
	// its working directory keeps them. Both must exist.
	WorkDir string
	// Home is the process's home folder; empty means that of this process.
	Home string
	// User is the value of USER in the environment; empty leaves it out.
	User string
	// Name is Spark's application name; empty means ergane.
	Name string
	// Master says where the executors run.
	Master Master
	// Secret authenticates the driver and its executors to each other if they are
	// not one process. A spark:// cluster has its own.
	Secret string
	// MaxDpus is the size of the session, coordinator and workers; 0 means ergane.DefaultDpus.
	MaxDpus int
	// CompareAndSet says that the metastore can compare and set a table's metadata
	// in one step, so that Iceberg's commits need no locks.
	CompareAndSet bool
	// Warehouse is the address of tables without a location; empty means a folder
	// of WorkDir.
	Warehouse string
	// Catalog is the thrift:// address of a Hive Metastore; empty gives the session its own catalog, in memory.
	Catalog string
	S3      S3
	// Environment is added to that of the JVM, and so also to that of the Python
	// workers. It must contain what the kernel adds to its own environment.
	Environment map[string]string
	// Properties are the client's, as it wrote them.
	Properties map[string]string
}

// warehouse is Warehouse, or empty if the session's properties choose another
// catalog than Catalog: dropping a database there could remove the files of the
// shared catalog's database of the same name.
func (spec LaunchSpec) warehouse() string {
	for _, key := range []string{"spark.sql.catalogImplementation", "spark.hadoop.hive.metastore.uris"} {
		if _, own := spec.Properties[key]; own && spec.Catalog != "" {
			return ""
		}
	}
	return spec.Warehouse
}

// Launch describes how to start a kernel. Argv and Env are for the kernel's
// process, the rest is for its boot document. Java and Spark hold the session's
// S3 key.
type Launch struct {
	Argv []string
	Env  []string // sorted
	Java JavaLaunch
	// Spark is the configuration of the context. It lacks only what SparkSubmit
	// adds itself (resolved jars): therefore the kernel must set it on a SparkConf
	// that has loaded the JVM's system properties.
	Spark map[string]string
	// HeapBytes is the maximum size of the driver's heap. The JVM's other memory
	// and the kernel's come on top (about 400 MB when idle).
	HeapBytes int64
	// Ignored are the properties that have no effect, sorted.
	Ignored []string
	// Links maps symbolic links that must exist to their targets. Prepare makes them.
	Links map[string]string `json:",omitzero"`
}

// Prepare makes the Links. Call it before the kernel is started.
func (l Launch) Prepare() error {
	for link, to := range l.Links {
		if err := errors.Join(os.MkdirAll(filepath.Dir(link), 0o700), os.Symlink(to, link)); err != nil {
			return fmt.Errorf("prepare the session's folder: %w", err)
		}
	}
	return nil
}

// JavaLaunch is the driver's JVM, in the format of the boot document.
type JavaLaunch struct {
	Argv []string          `json:"argv"`
	Env  map[string]string `json:"env"`
}

// scratchDir is the folder of Spark's and Java's scratch files below WorkDir.
const scratchDir = "java"

// systemPath is the PATH of sessions. The server's own PATH is not used, so that
// sessions do not depend on the shell that started the server.
const systemPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// Launch computes the command lines, environments and configuration of a session.
// Its errors have ergane.CodeInvalid: a property that is refused, or a driver
// memory that cannot be parsed (in Spark's words).
func (e *Engine) Launch(spec LaunchSpec) (Launch, error) {
	asked, ignored, err := CheckProperties(spec.Properties)
	if err != nil {
		return Launch{}, err
	}
	memory := cmp.Or(asked[keyDriverMemory], defaultDriverMemory)
	heap, err := parseMemory(memory)
	if err != nil {
		return Launch{}, err
	}
	tmp, scratch := filepath.Join(spec.WorkDir, "tmp"), filepath.Join(spec.WorkDir, scratchDir)
	home := spec.Home
	if home == "" {
		if home, err = os.UserHomeDir(); err != nil {
			home = tmp
		}
	}
	common := map[string]string{
		"PATH":   e.path("venv", "bin") + ":" + systemPath,
		"HOME":   home,
		"LANG":   "C.UTF-8",
		"TZ":     "UTC", // as on Athena, and the same on every machine
		"TMPDIR": tmp,
		// Spark's own scripts set it: without it rdd.lookup of a string key
		// looks into the wrong partition. It is why the kernel is not
		// started with -I, which would ignore it; there is no other variable
		// for Python in here, and -s keeps the user's packages out.
		"PYTHONHASHSEED":        "0",
		"SPARK_HOME":            e.sparkHome(),
		"SPARK_LOCAL_IP":        "127.0.0.1",
		"PYSPARK_PYTHON":        e.python(),
		"PYSPARK_DRIVER_PYTHON": e.python(),
	}
	if spec.User != "" {
		common["USER"], common["LOGNAME"] = spec.User, spec.User
	}
	java := maps.Clone(common)
	// Without it SparkSubmit would look for shell scripts to read.
	java["SPARK_ENV_LOADED"] = "1"
	// Set as a property of the context, Spark would warn in the log of every
	// session that the environment may override it.
	java["SPARK_LOCAL_DIRS"] = scratch
	var links map[string]string
	if spec.Master.localCluster() {
		// Its workers keep the executors' folders in SPARK_HOME/work.
		home := filepath.Join(scratch, "spark")
		java["SPARK_HOME"], links = home, map[string]string{}
		java["SPARK_SCALA_VERSION"] = e.scalaVersion() // else Spark would look for a build of itself
		for _, part := range []string{"bin", "jars", "python"} {
			links[filepath.Join(home, part)] = filepath.Join(e.sparkHome(), part)
		}
	}
	if !spec.Master.Here() {
		for _, vars := range []map[string]string{common, java} {
			delete(vars, "SPARK_LOCAL_IP")
		}
		for _, name := range []string{"HADOOP_CONF_DIR", "YARN_CONF_DIR"} {
			if dir := os.Getenv(name); dir != "" {
				java[name] = dir
			}
		}
	}
	maps.Copy(java, spec.Environment)

	withoutGlue(asked)
	formats := e.formatJars(asked)
	if !spec.Master.Here() && len(formats) > 0 { // executors elsewhere get them from the driver
		asked["spark.jars"] = strings.Trim(asked["spark.jars"]+","+strings.Join(formats, ","), ",")
		formats = nil
	}
	base := e.baseConf(spec, memory)
	if classes, ok := base[keyExecutorClasses]; ok && len(formats) > 0 {
		base[keyExecutorClasses] = classes + ":" + strings.Join(formats, ":")
	}
	submit := submitArgs(asked, base)
	conf := base
	for key, value := range asked {
		if !isSubmitKey(key) {
			conf[key] = value
		}
	}
	sizeExecutors(conf, spec.Master, spec.MaxDpus)
	// Command lines must not contain the S3 keys: SparkSubmit, which may have to
	// fetch jars from S3 before there is a context, reads them from here.
	if len(submit) > 0 && spec.S3.Endpoint != "" {
		java["AWS_ACCESS_KEY_ID"], java["AWS_SECRET_ACCESS_KEY"] = spec.S3.AccessKeyID, spec.S3.Secret
	}
	argv := append(append(e.javaCommand(heap, scratch, formats), homeOptions(spec.Home)...), sparkMain)
	if !spec.Master.Here() {
		argv = append(argv, "--master", spec.Master.String())
	}
	argv = append(append(argv, submit...), pysparkShell)
	return Launch{
		Argv:      []string{e.python(), "-s", "-X", "utf8", e.path(e.made.Kernel)},
		Env:       environment(common),
		Java:      JavaLaunch{Argv: argv, Env: java},
		Spark:     conf,
		HeapBytes: heap,
		Ignored:   ignored,
		Links:     links,
	}, nil
}

func environment(vars map[string]string) []string {
	var env []string
	for _, name := range slices.Sorted(maps.Keys(vars)) {
		env = append(env, name+"="+vars[name])
	}
	return env
}

// submitArgs are the arguments for what SparkSubmit does before there is a
// context: load the user's jars. If there are any, it also needs the address of S3.
func submitArgs(asked, base map[string]string) []string {
	var args []string
	for _, key := range slices.Sorted(maps.Keys(asked)) {
		if isSubmitKey(key) {
			args = append(args, "--conf", key+"="+asked[key])
		}
	}
	if args == nil {
		return nil
	}
	for _, key := range slices.Sorted(maps.Keys(base)) {
		secret := strings.HasSuffix(key, ".access.key") || strings.HasSuffix(key, ".secret.key")
		if strings.HasPrefix(key, "spark.hadoop.fs.") && !secret {
			args = append(args, "--conf", key+"="+base[key])
		}
	}
	return args
}

// isSubmitKey reports whether a property is an argument of SparkSubmit: spark.jars,
// spark.jars.packages and the like. Set on the context, they would only apply to
// the executors.
func isSubmitKey(key string) bool {
	return key == "spark.jars" || strings.HasPrefix(key, "spark.jars.")
}
