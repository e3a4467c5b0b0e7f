package engine

import (
	"os"
	"strconv"
	"strings"
)

const (
	sparkMain    = "org.apache.spark.deploy.SparkSubmit"
	pysparkShell = "pyspark-shell"
	// serialBelow is the heap size from which on the JVM's default collector
	// is worth its threads and memory.
	serialBelow = 4 << 30
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
func (e *Engine) javaCommand(heapBytes int64, tmp string) []string {
	argv := append(e.plainJavaCommand(heapBytes, tmp), e.archiveOptions()...)
	return append(argv, "-cp", strings.Join(e.jars, ":"))
}

func (e *Engine) plainJavaCommand(heapBytes int64, tmp string) []string {
	argv := []string{e.made.Java.Path, "-Xmx" + strconv.FormatInt(max(heapBytes, 64<<20)>>20, 10) + "m", "-Xss4m"}
	if heapBytes < serialBelow {
		argv = append(argv, "-XX:+UseSerialGC")
	}
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
