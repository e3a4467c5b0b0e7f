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

// S3 is the object store that s3:// and s3a:// addresses mean in a session.
type S3 struct {
	Endpoint    string // http://127.0.0.1:7481; empty leaves Spark without a store
	Region      string
	AccessKeyID string
	Secret      string
}

// LaunchSpec says for whom a kernel and its JVM are started.
type LaunchSpec struct {
	// WorkDir is the kernel's folder of the session. WorkDir/tmp is its working
	// directory and WorkDir/java has the driver's own files, out of the way of
	// code that empties its folder; both must exist.
	WorkDir string
	// Home is the process's home folder; empty: that of this process.
	Home string
	// User is the name of the user that the process runs as; empty: it is not told.
	User string
	// Master says where the executors run.
	Master Master
	// Secret is what the driver and its executors know each other by, where
	// they are not one process. A spark:// cluster has one already.
	Secret string
	// MaxDpus is the size of the session, coordinator and workers; 0: ergane.DefaultDpus.
	MaxDpus int
	// Compares tells that the metastore compares what Iceberg asks it to, so that commits need no locks.
	Compares bool
	// Warehouse is the address below which tables without a location lie;
	// empty: a folder of WorkDir.
	Warehouse string
	// Catalog is the thrift:// address of a Hive Metastore; empty: the session has a catalog of its own, in memory.
	Catalog string
	S3      S3
	// Environment is added to that of the JVM, and so reaches the Python
	// workers: what the kernel puts into its own environment belongs here, too.
	Environment map[string]string
	// Properties are those that the client asked for, as it wrote them.
	Properties map[string]string
}

// warehouse is the shared one, but for a session with a catalog of its own: what that does not
// know of, such as another catalog's databases, it would remove with a database of the same name.
func (spec LaunchSpec) warehouse() string {
	for _, key := range []string{"spark.sql.catalogImplementation", "spark.hadoop.hive.metastore.uris"} {
		if _, own := spec.Properties[key]; own && spec.Catalog != "" {
			return ""
		}
	}
	return spec.Warehouse
}

// Launch is what starts a kernel. Argv and Env are for the kernel's process,
// the rest is for its boot document. Java and Spark hold the session's S3 key.
type Launch struct {
	Argv []string
	Env  []string // sorted
	Java JavaLaunch
	// Spark is the configuration of the context. It is complete but for what
	// SparkSubmit adds by itself (resolved jars): the kernel must therefore set
	// it on a SparkConf that has loaded the JVM's system properties.
	Spark map[string]string
	// HeapBytes is how large the driver's heap may grow. The JVM's own needs
	// and the kernel's come on top (about 400 MB at rest).
	HeapBytes int64
	// Ignored are the properties that have no effect, sorted.
	Ignored []string
	// Links are symbolic links that must be there, and where they lead. Prepare makes them.
	Links map[string]string `json:",omitzero"`
}

// Prepare makes what must be there before the kernel is started.
func (l Launch) Prepare() error {
	for link, to := range l.Links {
		if err := errors.Join(os.MkdirAll(filepath.Dir(link), 0o700), os.Symlink(to, link)); err != nil {
			return fmt.Errorf("prepare the session's folder: %w", err)
		}
	}
	return nil
}

// JavaLaunch is the driver's JVM, in the words of the boot document.
type JavaLaunch struct {
	Argv []string          `json:"argv"`
	Env  map[string]string `json:"env"`
}

// scratchDir is the folder of Spark's and Java's scratch files below WorkDir.
const scratchDir = "java"

// systemPath is where programs of the system are; the user's own PATH is not
// handed on, so that a session does not depend on the shell that started the server.
const systemPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// Launch works out the command lines, environments and configuration of a
// session. An error is an ergane.CodeInvalid one: a property that is refused,
// or a driver memory that cannot be read (in Spark's words).
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
	// A setting of the context could be overridden by the environment, and
	// Spark says so in the log of every session.
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
	// The S3 keys stand in no command line: SparkSubmit, which may have to
	// fetch jars from S3 before there is a context, takes them from here.
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

// submitArgs hands over what SparkSubmit acts on before there is a context:
// the user's jars. Where there are any, it also needs to know the S3 store.
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

// isSubmitKey: spark.jars, spark.jars.packages and their like. In the
// configuration of a context they would reach the executors only.
func isSubmitKey(key string) bool {
	return key == "spark.jars" || strings.HasPrefix(key, "spark.jars.")
}
