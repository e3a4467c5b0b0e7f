package engine_test

import (
	"cmp"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ergane-dev/ergane/internal/engine"
)

// installed opens the engine that ergane setup has installed, in
// ERGANE_ENGINE_DIR or where it is by default.
func installed(t *testing.T) *engine.Engine {
	t.Helper()
	data, err := os.UserHomeDir()
	must(t, err)
	data = cmp.Or(os.Getenv("XDG_DATA_HOME"), filepath.Join(data, ".local", "share"))
	table, err := engine.DefaultTable()
	must(t, err)
	spec, _, err := table.Resolve(engine.Auto)
	must(t, err)
	e, err := engine.Open(cmp.Or(os.Getenv("ERGANE_ENGINE_DIR"), filepath.Join(data, "ergane", "engines")), spec)
	if err != nil {
		t.Fatalf("%v; run ergane setup", err)
	}
	return e
}

func TestTheInstalledEngineIsSound(t *testing.T) {
	t.Parallel()
	for _, f := range installed(t).Check(t.Context()) {
		if !f.OK && f.Name != "kernel" {
			t.Errorf("%+v", f)
		}
	}
}

func TestTheInstalledEngineRunsSpark(t *testing.T) {
	t.Parallel()
	e := installed(t)
	dir := t.TempDir()
	must(t, errors.Join(os.Mkdir(filepath.Join(dir, "tmp"), 0o700), os.Mkdir(filepath.Join(dir, "java"), 0o700)))
	launch, err := e.Launch(engine.LaunchSpec{WorkDir: dir, Home: dir, S3: engine.S3{Endpoint: "http://127.0.0.1:1", AccessKeyID: "a", Secret: "b"},
		Properties: map[string]string{"spark.hadoop.fs.s3a.attempts.maximum": "1", "spark.hadoop.fs.s3a.retry.limit": "0"}})
	must(t, err)
	// Spark and Ergane must parse a size in the same way, and refuse it with the same sentence.
	sizes := []string{"1g", "512m", "7kb", "3T", "much", "1.5g", "1x", "-1g"}
	boot, err := json.Marshal(map[string]any{"java": launch.Java, "spark": launch.Spark, "sizes": sizes})
	must(t, err)
	must(t, os.WriteFile(filepath.Join(dir, "boot.json"), boot, 0o600))
	driver, err := filepath.Abs(filepath.Join("testdata", "driver.py"))
	must(t, err)
	cmd := exec.CommandContext(t.Context(), launch.Argv[0], "-s", "-B", driver, filepath.Join(dir, "boot.json"))
	cmd.Env, cmd.Dir = launch.Env, filepath.Join(dir, "tmp")
	raw, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, raw)
	}
	out := string(raw)
	for _, noise := range []string{"native-hadoop", "[cds]", "spark.local.dir will be overridden", "Setting default log level"} {
		if strings.Contains(out, noise) {
			t.Errorf("the log of every session says %q", noise)
		}
	}
	_, said, _ := strings.Cut(out, "SAID ")
	var answer struct {
		Spark   string
		Lookups int
		Sizes   map[string]string
	}
	must(t, json.Unmarshal([]byte(strings.TrimSpace(said)), &answer))
	if answer.Spark != e.Spec().Spark || answer.Lookups != 20 {
		t.Errorf("Spark %s finds %d of 20 keys", answer.Spark, answer.Lookups)
	}
	for size, spark := range answer.Sizes {
		ours, err := e.Launch(engine.LaunchSpec{WorkDir: dir, Properties: map[string]string{"spark.driver.memory": size}})
		if err == nil {
			if want, _ := json.Marshal(ours.HeapBytes); string(want) != spark {
				t.Errorf("%s is %s to us and %s to Spark", size, want, spark)
			}
			continue
		}
		if err.Error() != "NumberFormatException: "+spark {
			t.Errorf("%s: we say %q, Spark %q", size, err, spark)
		}
	}
}

func TestJavaReadsTheTrustStoreMadeOfThisMachinesAuthorities(t *testing.T) {
	t.Parallel()
	e := installed(t)
	launch, err := e.Launch(engine.LaunchSpec{WorkDir: t.TempDir()})
	must(t, err)
	keytool := filepath.Join(filepath.Dir(launch.Java.Argv[0]), "keytool")
	out, err := exec.CommandContext(t.Context(), keytool, "-list", "-storepass", "changeit", "-keystore", filepath.Join(e.Dir(), "truststore.jks")).CombinedOutput()
	if err != nil || !strings.Contains(string(out), "trustedCertEntry") {
		t.Errorf("keytool: %v\n%.500s", err, out)
	}
}
