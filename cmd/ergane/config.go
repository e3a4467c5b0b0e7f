package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"slices"

	"github.com/alecthomas/kong"

	"github.com/ergane-dev/ergane/internal/credentials"
	"github.com/ergane-dev/ergane/internal/engine"
	"github.com/ergane-dev/ergane/internal/host"
)

// All configuration is read here: the flags, by kong, with their variables; the
// file of --config; and the variables that are no flags. docs/configuration.md is
// generated from the tags (make generate).

// configFile is what --config names: a JSON object of flag names, without the
// dashes in front, and their values.
type configFile map[string]any

// readConfig is a kong.ConfigurationLoader.
func readConfig(r io.Reader) (kong.Resolver, error) {
	var c configFile
	if err := json.NewDecoder(r).Decode(&c); err != nil {
		return nil, fmt.Errorf("--config: not a JSON object: %w", err)
	}
	return c, nil
}

// Validate refuses a key that is no flag: it would have no effect, and the user would not notice.
func (c configFile) Validate(app *kong.Application) error {
	known := map[string]bool{}
	for _, node := range append(slices.Clone(app.Children), app.Node) {
		for _, flag := range node.Flags {
			known[flag.Name] = true
		}
	}
	for key := range c {
		if !known[key] {
			return fmt.Errorf("--config: there is no flag --%s", key)
		}
	}
	return nil
}

// Resolve gives a flag its value, unless the command line or the environment does.
func (c configFile) Resolve(_ *kong.Context, _ *kong.Path, flag *kong.Flag) (any, error) {
	for _, name := range flag.Envs {
		if _, ok := os.LookupEnv(name); ok {
			return nil, nil
		}
	}
	return c[flag.Name], nil
}

// variables are no flags: secrets, which a command line would show to everybody
// on the machine, and what setup uses.
type variables struct {
	S3Endpoint         string `env:"ERGANE_S3_ENDPOINT" help:"URL of the S3 that --results names."`
	S3Region           string `env:"ERGANE_S3_REGION" help:"Its region; us-east-1 by default."`
	S3AccessKeyID      string `env:"ERGANE_S3_ACCESS_KEY_ID" help:"The server's access key for it, which the API takes, too."`
	S3SecretAccessKey  string `env:"ERGANE_S3_SECRET_ACCESS_KEY" help:"The secret of that key."`
	S3SessionKeyID     string `env:"ERGANE_S3_SESSION_ACCESS_KEY_ID" help:"The access key that the code of sessions gets for it, which the API does not take. Default: the server's."`
	S3SessionSecretKey string `env:"ERGANE_S3_SESSION_SECRET_ACCESS_KEY" help:"The secret of that key."`
	MasterSecret       string `env:"ERGANE_MASTER_SECRET" help:"spark.authenticate.secret of the cluster that --master spark://… names."`
	Python             string `env:"ERGANE_PYTHON" help:"The Python program that an engine is installed with. Default: the python3 of this machine if it fits, otherwise the newest python3.X that does."`
	Java               string `env:"ERGANE_JAVA" help:"The Java program, or its home folder, that engines use. Default: one of this machine that fits; without one, a Java is installed."`
}

// environment reads the variables.
func environment() (v variables) {
	s := reflect.ValueOf(&v).Elem()
	for i, field := range reflect.VisibleFields(s.Type()) {
		s.Field(i).SetString(os.Getenv(field.Tag.Get("env")))
	}
	return v
}

// external is the external store for results. The AWS_* variables are not used:
// `ergane env` sets those for clients.
func (v variables) external() (host.ExternalS3, error) {
	return host.OpenExternal(host.ExternalS3{
		Endpoint: v.S3Endpoint, Region: v.S3Region, AccessKeyID: v.S3AccessKeyID, Secret: v.S3SecretAccessKey,
		Session: credentials.Key{AccessKeyID: v.S3SessionKeyID, Secret: v.S3SessionSecretKey},
	})
}

func (v variables) programs() engine.Programs {
	return engine.Programs{Python: v.Python, Java: v.Java}
}

// dirs are the folders that every subcommand needs.
type dirs struct {
	DataDir   string `help:"Folder for keys, database, results and sessions (default: ergane in the XDG data folder)." env:"ERGANE_DATA_DIR" placeholder:"DIR"`
	EngineDir string `help:"Folder for installed engines, shared by all data folders (default: ergane/engines in the XDG data folder)." env:"ERGANE_ENGINE_DIR" placeholder:"DIR"`
}

// resolve makes both absolute and fills in the defaults.
func (d *dirs) resolve() error {
	for _, f := range []struct {
		dir *string
		def string
	}{{&d.DataDir, "ergane"}, {&d.EngineDir, filepath.Join("ergane", "engines")}} {
		if *f.dir == "" {
			home, err := dataHome()
			if err != nil {
				return err
			}
			*f.dir = filepath.Join(home, f.def)
		}
		abs, err := filepath.Abs(*f.dir)
		if err != nil {
			return fmt.Errorf("find folder %s: %w", *f.dir, err)
		}
		*f.dir = abs
	}
	return nil
}

// dataHome is $XDG_DATA_HOME, or ~/.local/share.
func dataHome() (string, error) {
	if dir := os.Getenv("XDG_DATA_HOME"); filepath.IsAbs(dir) {
		return dir, nil
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return "", errors.New("there is no home directory for Ergane's data; set HOME, or name a folder with --data-dir and one with --engine-dir")
	}
	return filepath.Join(home, ".local", "share"), nil
}
