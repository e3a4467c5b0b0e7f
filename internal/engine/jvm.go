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
	// serialBelow is the heap size, in bytes, below which the serial collector is
	// used: the JVM's default collector needs more threads and memory.
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

// javaCommand is the command line of a driver's JVM up to its class path, which
// spark-submit would need another JVM to compute. more are jars to add behind the
// engine's, where they do not invalidate the class data archive.
func (e *Engine) javaCommand(heapBytes int64, tmp string, more []string) []string {
	argv := append(e.plainJavaCommand(heapBytes, tmp), e.archiveOptions()...)
	return append(argv, "-cp", strings.Join(slices.Concat(e.jars, more), ":"))
}

func (e *Engine) plainJavaCommand(heapBytes int64, tmp string) []string {
	argv := []string{e.made.Java.Path, "-Xmx" + strconv.FormatInt(max(heapBytes, 64<<20)>>20, 10) + "m", "-Xss4m"}
	// The heap starts small: most sessions are idle most of the time, and a heap of
	// the default size keeps all memory that it has once used.
	argv = append(argv, "-Xms"+strconv.FormatInt(min(max(heapBytes, 64<<20), initialHeap)>>20, 10)+"m")
	if heapBytes < serialBelow {
		// A waiting kernel or idle session shrinks the heap with one collection
		// (kernel/src/ergane_kernel/heap.py) instead of four.
		argv = append(argv, "-XX:+UseSerialGC", "-XX:-ShrinkHeapInSteps")
	}
	// In its first minute a session runs most code only a few thousand times; the
	// optimizing compiler is used only for code that runs more often, and for loops.
	argv = append(argv, "-XX:Tier4InvocationThreshold=50000", "-XX:Tier4MinInvocationThreshold=6000", "-XX:Tier4CompileThreshold=150000")
	// Not -XX:+ExitOnOutOfMemoryError: a driver survives one in the planner, in a
	// broadcast or in a call from Python; after one in a task Spark itself ends it.
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

// executorOptions are the options for the JVM of an executor on this machine;
// Spark itself adds those of the heap and of the packages in opens.
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

// homeOptions set Java's home folder, which it would otherwise take from the system's list of users.
func homeOptions(home string) []string {
	if home == "" {
		return nil
	}
	return []string{"-Duser.home=" + home}
}

// archiveOptions name the class data archive. If it no longer matches (the
// machine's Java was updated), the start is slower and nothing is logged.
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
	// The JVM checks only the head of the file and crashes if it is truncated.
	if bytes != e.made.Archive.Bytes {
		return nil
	}
	return []string{"-Xshare:auto", "-Xlog:disable", "-XX:SharedArchiveFile=" + strings.Join(files, ":")}
}

// Fixed returns those of a session's properties that its JVM is started with and
// that cannot change in a running JVM. ahead is false if no JVM can be started
// with them ahead of the session, because what they name may change before:
// jars that are files, as opposed to packages with a version.
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
