package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/alecthomas/kong"
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
