package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/alecthomas/kong"

	"github.com/ergane-dev/ergane/internal/credentials"
	"github.com/ergane-dev/ergane/internal/engine"
	"github.com/ergane-dev/ergane/internal/host"
)

// parse reads a command line with a --config file.
func parse(t *testing.T, config string, args ...string) (*cli, error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "config.json")
	if err := os.WriteFile(path, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	c := new(cli)
	_, err := kong.Must(c, grammar()...).Parse(append(args, "--config", path))
	return c, err
}

func TestTheCommandLineWinsOverTheEnvironmentAndThatOverTheFile(t *testing.T) {
	t.Setenv("ERGANE_S3_LISTEN", "env:2")
	t.Setenv("ERGANE_HOLD", "3s")
	c, err := parse(t, `{"listen": "file:1", "s3-listen": "file:2", "hold": "4s", "insecure": true, "master": "local-cluster[2,1,1024]"}`, "serve", "--hold", "5s")
	if err != nil {
		t.Fatal(err)
	}
	got := [...]string{c.Serve.Listen, c.Serve.S3Listen, c.Serve.Hold.String(), c.Serve.Master}
	if want := [...]string{"file:1", "env:2", "5s", "local-cluster[2,1,1024]"}; got != want || !c.Serve.Insecure {
		t.Errorf("got %v, insecure %v; want %v and insecure", got, c.Serve.Insecure, want)
	}
}

func TestVariablesThatAreNoFlagsAreRead(t *testing.T) {
	for name, value := range map[string]string{
		"ERGANE_S3_ENDPOINT": "http://store", "ERGANE_S3_ACCESS_KEY_ID": "A", "ERGANE_S3_SECRET_ACCESS_KEY": "S", "ERGANE_S3_REGION": "",
		"ERGANE_S3_SESSION_ACCESS_KEY_ID": "B", "ERGANE_S3_SESSION_SECRET_ACCESS_KEY": "T",
		"ERGANE_PYTHON": "python", "ERGANE_JAVA": "java", "ERGANE_MASTER_SECRET": "shared",
	} {
		t.Setenv(name, value)
	}
	v := environment()
	x, err := v.external()
	if err != nil {
		t.Fatal(err)
	}
	want := host.ExternalS3{Endpoint: "http://store", Region: "us-east-1", AccessKeyID: "A", Secret: "S", Session: credentials.Key{AccessKeyID: "B", Secret: "T"}}
	if x != want || v.programs() != (engine.Programs{Python: "python", Java: "java"}) || v.MasterSecret != "shared" {
		t.Errorf("got %+v, %+v", x, v)
	}
}

// Ergane's variables are read in config.go. Variables of the system (JAVA_HOME,
// SSL_CERT_FILE, proxies, …) are read where they are used.
func TestNoOtherFileReadsErganesVariables(t *testing.T) {
	t.Parallel()
	reads := regexp.MustCompile(`(Getenv|LookupEnv)\("ERGANE_`)
	for _, pattern := range []string{"*.go", "../../*.go", "../../internal/*/*.go", "../../internal/objects/gateway/*.go"} {
		files, err := filepath.Glob(pattern)
		if err != nil || len(files) == 0 {
			t.Fatalf("%s: %d files, %v", pattern, len(files), err)
		}
		for _, file := range files {
			if strings.HasSuffix(file, "_test.go") || strings.HasSuffix(file, "_chaos.go") {
				continue
			}
			source, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if reads.Match(source) {
				t.Errorf("%s reads a variable of Ergane's; config.go does that", file)
			}
		}
	}
}

func TestAWrongConfigFileIsRefused(t *testing.T) {
	for config, want := range map[string]string{
		`{"lissten": "x"}`:  "there is no flag --lissten",
		`["listen"]`:        "not a JSON object",
		`{"hold": "later"}`: "--hold",
		`{`:                 "not a JSON object",
	} {
		if _, err := parse(t, config, "serve"); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", config, err, want)
		}
	}
}
