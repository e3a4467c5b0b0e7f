package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/ergane-dev/ergane/internal/durable"
	"github.com/ergane-dev/ergane/internal/sandbox"
)

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

// makeDataDir makes the data dir, for its owner alone, and checks that it can be written.
func makeDataDir(dir string) error {
	_, err := os.Stat(dir)
	made := errors.Is(err, fs.ErrNotExist)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("the data folder cannot be made; name another with --data-dir: %w", err)
	}
	if made { // what is durable in it needs its name to be
		if err := durable.SyncFolder(filepath.Dir(dir)); err != nil {
			return fmt.Errorf("the data folder cannot be made durable; name another with --data-dir: %w", err)
		}
	}
	probe, err := os.CreateTemp(dir, ".probe-*")
	if err != nil {
		return fmt.Errorf("the data folder cannot be written; name another with --data-dir: %w", err)
	}
	defer os.Remove(probe.Name())
	_, err = probe.Write(make([]byte, 4096))
	if err := errors.Join(err, probe.Sync(), probe.Close()); err != nil {
		return fmt.Errorf("the data folder cannot be written; make space, or name another with --data-dir: %w", err)
	}
	return nil
}

func lockPath(dataDir string) string { return filepath.Join(dataDir, "lock") }

func sessionsPath(dataDir string) string { return filepath.Join(dataDir, "sessions") }

// serverInfo is server.json: how env, run and logs find a running server.
type serverInfo struct {
	PID     int       `json:"pid"`
	Started time.Time `json:"started"`
	API     string    `json:"api"` // http://127.0.0.1:7480
	S3      string    `json:"s3"`  // http://127.0.0.1:7481
	Region  string    `json:"region"`
	// Files is the s3:// address below which `ergane run` puts files.
	Files string `json:"files"`
	// ExternalS3 says that S3 is not ours: its key pair, which the operator
	// has in ERGANE_S3_*, then serves for the API as well.
	ExternalS3 bool `json:"external_s3,omitzero"`
	ExitsIdle  bool `json:"exits_idle,omitzero"`
	// CertFile is the API's certificate where it is self-signed.
	CertFile string `json:"cert_file,omitzero"`
	// Master is Spark's, for doctor to show.
	Master string `json:"master"`
	// Group tells whether its sessions have control groups. What works depends
	// on where a server was started, so doctor cannot try that for it.
	Group   sandbox.Layer `json:"group,omitzero"`
	Version string        `json:"version"`
	// Keep says how long sessions are kept, for doctor to show.
	Keep string `json:"keep,omitzero"`
	// WideKeys are keys that sessions hold and should not, for doctor to show.
	WideKeys wideKeys `json:"wide_keys,omitzero"`
}

func serverInfoPath(dataDir string) string { return filepath.Join(dataDir, "server.json") }

// readServerInfo returns what a server on the data dir said of itself; false where none runs.
func readServerInfo(dataDir string) (serverInfo, bool, error) {
	var info serverInfo
	raw, err := os.ReadFile(serverInfoPath(dataDir))
	if errors.Is(err, fs.ErrNotExist) {
		return info, false, nil
	}
	if err != nil {
		return info, false, fmt.Errorf("read server.json: %w", err)
	}
	if err := json.Unmarshal(raw, &info); err != nil {
		return info, false, fmt.Errorf("read server.json: %w", err)
	}
	return info, true, nil
}

// writeJSON writes a file for the owner alone, whole or not at all.
func writeJSON(path string, v any) error {
	raw, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	return durable.Replace(path, 0o600, append(raw, '\n'))
}
