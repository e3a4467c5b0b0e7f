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
	scratch := filepath.Join(spec.WorkDir, scratchDir)
	env := e.kernelEnvironment(spec)
	java, links := e.javaEnvironment(spec, env)

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
		Env:       environment(env),
		Java:      JavaLaunch{Argv: argv, Env: java},
		Spark:     conf,
		HeapBytes: heap,
		Ignored:   ignored,
		Links:     links,
	}, nil
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
