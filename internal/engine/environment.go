package engine

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
)

// systemPath is the PATH of sessions. The server's own PATH is not used, so that
// sessions do not depend on the shell that started the server.
const systemPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// kernelEnvironment is the environment of a session's kernel.
func (e *Engine) kernelEnvironment(spec LaunchSpec) map[string]string {
	tmp, home := filepath.Join(spec.WorkDir, "tmp"), spec.Home
	if home == "" {
		var err error
		if home, err = os.UserHomeDir(); err != nil {
			home = tmp
		}
	}
	env := map[string]string{
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
		"PYSPARK_PYTHON":        e.python(),
		"PYSPARK_DRIVER_PYTHON": e.python(),
	}
	if spec.Master.Here() {
		env["SPARK_LOCAL_IP"] = "127.0.0.1"
	}
	if spec.User != "" {
		env["USER"], env["LOGNAME"] = spec.User, spec.User
	}
	return env
}

// javaEnvironment is the environment of a session's JVM, which has that of the
// kernel, and the symbolic links that it needs.
func (e *Engine) javaEnvironment(spec LaunchSpec, kernel map[string]string) (env, links map[string]string) {
	env, scratch := maps.Clone(kernel), filepath.Join(spec.WorkDir, scratchDir)
	// Without it SparkSubmit would look for shell scripts to read.
	env["SPARK_ENV_LOADED"] = "1"
	// Set as a property of the context, Spark would warn in the log of every
	// session that the environment may override it.
	env["SPARK_LOCAL_DIRS"] = scratch
	if spec.Master.localCluster() {
		// Its workers keep the executors' folders in SPARK_HOME/work.
		home := filepath.Join(scratch, "spark")
		env["SPARK_HOME"], links = home, map[string]string{}
		env["SPARK_SCALA_VERSION"] = e.scalaVersion() // else Spark would look for a build of itself
		for _, part := range []string{"bin", "jars", "python"} {
			links[filepath.Join(home, part)] = filepath.Join(e.sparkHome(), part)
		}
	}
	if !spec.Master.Here() {
		for _, name := range []string{"HADOOP_CONF_DIR", "YARN_CONF_DIR"} {
			if dir := os.Getenv(name); dir != "" {
				env[name] = dir
			}
		}
	}
	maps.Copy(env, spec.Environment)
	return env, links
}

func environment(vars map[string]string) []string {
	var env []string
	for _, name := range slices.Sorted(maps.Keys(vars)) {
		env = append(env, name+"="+vars[name])
	}
	return env
}
