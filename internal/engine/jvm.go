package engine

import (
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
)

const (
	sparkMain    = "org.apache.spark.deploy.SparkSubmit"
	pysparkShell = "pyspark-shell"
	// serialBelow is the heap size from which on the JVM's default collector
	// is worth its threads and memory.
	serialBelow = 4 << 30
	initialHeap = 128 << 20
)

// opens are the packages of the JDK that Spark reaches into, as Spark's
// launcher lists them (org.apache.spark.launcher.JavaModuleOptions, 3.5),
// without the incubating vector module: it would rule out class data sharing.
var opens = []string{
	"java.base/java.lang", "java.base/java.lang.invoke", "java.base/java.lang.reflect", "java.base/java.io",
	"java.base/java.net", "java.base/java.nio", "java.base/java.util", "java.base/java.util.concurrent",
	"java.base/java.util.concurrent.atomic", "java.base/jdk.internal.ref", "java.base/sun.nio.ch",
	"java.base/sun.nio.cs", "java.base/sun.security.action", "java.base/sun.util.calendar",
	"java.security.jgss/sun.security.krb5",
}

// javaCommand is the command line of a driver's JVM up to its class path: what
// spark-submit would work out with a JVM of its own.
// More jars come behind the engine's, so that the class data archive still fits.
func (e *Engine) javaCommand(heapBytes int64, tmp string, more []string) []string {
	argv := append(e.plainJavaCommand(heapBytes, tmp), e.archiveOptions()...)
	return append(argv, "-cp", strings.Join(slices.Concat(e.jars, more), ":"))
}

func (e *Engine) plainJavaCommand(heapBytes int64, tmp string) []string {
	argv := []string{e.made.Java.Path, "-Xmx" + strconv.FormatInt(max(heapBytes, 64<<20)>>20, 10) + "m", "-Xss4m"}
	// A heap that begins small: most sessions are idle most of the time, and one of
	// this machine's default size keeps what it has touched once.
	argv = append(argv, "-Xms"+strconv.FormatInt(min(max(heapBytes, 64<<20), initialHeap)>>20, 10)+"m")
	if heapBytes < serialBelow {
		// A kernel that waits, or a session that is idle, has the heap shrink with one
		// collection (kernel/src/ergane_kernel/heap.py), not with four.
		argv = append(argv, "-XX:+UseSerialGC", "-XX:-ShrinkHeapInSteps")
	}
	// A session's first minute is spent on code that runs a few thousand times; the
	// optimizing compiler is kept for what runs more often, loops excepted.
	argv = append(argv, "-XX:Tier4InvocationThreshold=50000", "-XX:Tier4MinInvocationThreshold=6000", "-XX:Tier4CompileThreshold=150000")
	// Not -XX:+ExitOnOutOfMemoryError: a driver lives through one in the planner, in
	// a broadcast or in a call from Python, and after one in a task Spark ends it.
	argv = append(argv,
		"-XX:-UsePerfData", // no file in /tmp that other users see
		"-Dfile.encoding=UTF-8",
		"-Djava.io.tmpdir="+tmp,
		"-Djdk.reflect.useDirectMethodHandle=false",
		"-Dio.netty.tryReflectionSetAccessible=true",
		"-Dlog4j2.configurationFile="+e.path("conf", logConfFile),
		"-Dlog4j2.disableJmx=true",
	)
	for _, pkg := range opens {
		argv = append(argv, "--add-opens="+pkg+"=ALL-UNNAMED")
	}
	if e.made.Java.Wheel && exists(e.path(trustStoreFile)) {
		argv = append(argv, trustStoreOptions(e.path(trustStoreFile))...)
	}
	return argv
}

// executorOptions are the same for the JVM of an executor on this machine, to
// which Spark itself adds its heap and the packages it reaches into.
func (e *Engine) executorOptions(tmp string) []string {
	options := []string{
		"-XX:+UseSerialGC",
		"-XX:-UsePerfData",
		"-Dfile.encoding=UTF-8",
		"-Djava.io.tmpdir=" + tmp,
		"-Dlog4j2.configurationFile=" + e.path("conf", logConfFile),
		"-Dlog4j2.disableJmx=true",
	}
	if e.made.Java.Wheel && exists(e.path(trustStoreFile)) {
		options = append(options, trustStoreOptions(e.path(trustStoreFile))...)
	}
	return append(options, e.archiveOptions()...)
}

// homeOptions make Java, which asks the system's list of users, take the folder for the home that the environment names.
func homeOptions(home string) []string {
	if home == "" {
		return nil
	}
	return []string{"-Duser.home=" + home}
}

// archiveOptions name the class data archive. One that does not fit any more
// (the machine's Java was updated) costs a slower start, and not a word in the log.
func (e *Engine) archiveOptions() []string {
	if len(e.made.Archive.Files) == 0 {
		return nil
	}
	var files []string
	var bytes int64
	for _, name := range e.made.Archive.Files {
		files = append(files, e.path("archive", name))
		if st, err := os.Stat(e.path("archive", name)); err == nil {
			bytes += st.Size()
		}
	}
	// The JVM checks the head of the file only and crashes on a cut one.
	if bytes != e.made.Archive.Bytes {
		return nil
	}
	return []string{"-Xshare:auto", "-Xlog:disable", "-XX:SharedArchiveFile=" + strings.Join(files, ":")}
}

// Fixed are those of a session's properties that its JVM is started with, and
// that nothing can change in a JVM that runs. It is false where no JVM can be
// started with them ahead of the session, because what they name may change
// meanwhile: jars that are files, as opposed to packages with a version.
func (e *Engine) Fixed(properties map[string]string) (fixed map[string]string, ahead bool) {
	asked, _, err := CheckProperties(properties)
	if err != nil {
		return nil, false
	}
	fixed = map[string]string{}
	for key, value := range asked {
		switch key {
		case keyDriverMemory, "spark.jars.packages", "spark.jars.excludes", "spark.jars.repositories":
			fixed[key] = value
		default:
			if isSubmitKey(key) {
				return nil, false
			}
		}
	}
	maps.Copy(fixed, formatProperties(asked))
	return fixed, true
}
