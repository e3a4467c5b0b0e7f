package engine_test

import (
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"github.com/ergane-dev/ergane"
	"github.com/ergane-dev/ergane/internal/engine"
)

var update = flag.Bool("update", false, "rewrite the golden files")

func TestLaunchIsWhatTheGoldenFilesSay(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	e, err := m.install(t.Context())
	must(t, err)
	s3 := engine.S3{Endpoint: "http://127.0.0.1:7481", Region: "eu-central-1", AccessKeyID: "AKIDSESSION", Secret: "s3cr3t"}
	cluster, err := engine.ParseMaster("local-cluster[2,1,1024]")
	must(t, err)
	for name, spec := range map[string]engine.LaunchSpec{
		"cluster": {WorkDir: "/sessions/1/wo rk", Home: "/home/ann", S3: s3, Master: cluster, Secret: "hush", MaxDpus: 3},
		"catalog": {WorkDir: "/sessions/1/work", Home: "/home/ann", S3: s3, Warehouse: "s3://results/primary/warehouse", Catalog: "thrift://127.0.0.1:7482"},
		"plain":   {WorkDir: "/sessions/1/work", Home: "/home/ann", S3: s3, Warehouse: "s3://warehouse/"},
		"properties": {WorkDir: "/sessions/1/work", Home: "/home/ann", S3: s3, Environment: map[string]string{"AWS_REGION": "eu-central-1"}, Properties: map[string]string{
			"spark.driver.memory": "6g", "spark.sql.shuffle.partitions": "7", "spark.jars.packages": "org.example:lib:1", "NotebookId": "x",
			"spark.hadoop.fs.s3a.retry.limit": "1",
		}},
	} {
		launch, err := e.Launch(spec)
		must(t, err)
		raw, err := json.MarshalIndent(launch, "", "  ")
		must(t, err)
		archive, _ := filepath.Glob(filepath.Join(e.Dir(), "archive", "*.jsa"))
		got := strings.NewReplacer(e.Dir(), "$ENGINE", m.dir, "$MACHINE").Replace(string(raw)) + "\n"
		for i, slot := range []string{"$BASE", "$ARCHIVE"} {
			got = strings.ReplaceAll(got, filepath.Base(archive[len(archive)-1-i]), slot)
		}
		file := filepath.Join("testdata", "launch-"+name+".json")
		if *update {
			must(t, os.WriteFile(file, []byte(got), 0o644))
		}
		want, err := os.ReadFile(file)
		must(t, err)
		if diff := cmp.Diff(string(want), got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", file, diff)
		}
	}
}

func TestTheS3SecretIsInNoCommandLineNorInTheKernelsEnvironment(t *testing.T) {
	t.Parallel()
	e, err := newMachine(t).install(t.Context())
	must(t, err)
	launch, err := e.Launch(engine.LaunchSpec{WorkDir: t.TempDir(), S3: engine.S3{Endpoint: "http://127.0.0.1:1", AccessKeyID: "AKID", Secret: "s3cr3t"},
		Properties: map[string]string{"spark.jars": "s3://bucket/a.jar"}})
	must(t, err)
	for _, word := range slices.Concat(launch.Argv, launch.Env, launch.Java.Argv) {
		if strings.Contains(word, "s3cr3t") || strings.HasPrefix(word, "AWS_") {
			t.Errorf("there is %q", word)
		}
	}
}

func TestLaunchTakesTheHeapFromTheDriversMemory(t *testing.T) {
	t.Parallel()
	e, err := newMachine(t).install(t.Context())
	must(t, err)
	for memory, want := range map[string]string{"1g": "-Xmx1024m", "2048": "-Xmx2048m", " 3G ": "-Xmx3072m", "1048576k": "-Xmx1024m", "2gb": "-Xmx2048m", "1": "-Xmx64m"} {
		launch, err := e.Launch(engine.LaunchSpec{WorkDir: t.TempDir(), Properties: map[string]string{"spark.driver.memory": memory}})
		must(t, err)
		if !slices.Contains(launch.Java.Argv, want) {
			t.Errorf("%s gives %s", memory, launch.Java.Argv[1])
		}
	}
	for memory, want := range map[string]string{"much": "Failed to parse byte string: much", "1.5g": "Fractional values are not supported. Input was: 1.5",
		"1x": `Invalid suffix: "x"`, "-1g": "Failed to parse byte string: -1g", "": "-Xmx1024m", "99999999999999999999g": "For input string", "9000000000000p": "For input string"} {
		_, err := e.Launch(engine.LaunchSpec{WorkDir: t.TempDir(), Properties: map[string]string{"spark.driver.memory": memory}})
		if memory == "" {
			must(t, err)
			continue
		}
		if ergane.CodeOf(err) != ergane.CodeInvalid || !strings.HasPrefix(err.Error(), "NumberFormatException: Size must be specified as bytes (b)") || !strings.HasSuffix(err.Error(), want) && !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", memory, err)
		}
	}
}

func TestANewerKernelIsUnpackedBesideTheOlder(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	e, err := m.install(t.Context())
	must(t, err)
	kernelOf := func() string {
		launch, err := e.Launch(engine.LaunchSpec{WorkDir: t.TempDir()})
		must(t, err)
		return launch.Argv[len(launch.Argv)-1]
	}
	older := kernelOf()
	e, err = m.install(t.Context(), func(o *engine.Options) {
		o.KernelFS = fstest.MapFS{"__main__.py": {Data: []byte("newer")}, "ergane_kernel/spool.py": {Data: []byte("x")}}
	})
	must(t, err)
	if kernelOf() == older {
		t.Error("the older kernel is started")
	}
	for file, want := range map[string]string{filepath.Join(older, "__main__.py"): "pass", filepath.Join(kernelOf(), "__main__.py"): "newer", filepath.Join(kernelOf(), "ergane_kernel", "spool.py"): "x"} {
		if raw, err := os.ReadFile(file); err != nil || string(raw) != want {
			t.Errorf("%s: %q %v", file, raw, err)
		}
	}
	if f := finding(t, e, "kernel"); !f.OK {
		t.Errorf("doctor says %+v", f)
	}
}
