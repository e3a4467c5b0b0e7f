// Package datadir knows the files of a data folder, and how to find a running
// server there.
package datadir

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/ergane-dev/ergane/internal/credentials"
	"github.com/ergane-dev/ergane/internal/durable"
	"github.com/ergane-dev/ergane/internal/sandbox"
)

// Make makes the data dir, which only its owner can read, and checks that it can be written.
func Make(dir string) error {
	_, err := os.Stat(dir)
	made := errors.Is(err, fs.ErrNotExist)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("the data folder cannot be made; name another with --data-dir: %w", err)
	}
	if made { // files in it are only durable if its own name is
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

// Lock is the path of the lock that a server holds.
func Lock(dataDir string) string { return filepath.Join(dataDir, "lock") }

// Sessions is the folder of the sessions' folders.
func Sessions(dataDir string) string { return filepath.Join(dataDir, "sessions") }

// Server is server.json: how env, run and logs find a running server.
type Server struct {
	PID     int       `json:"pid"`
	Started time.Time `json:"started"`
	API     string    `json:"api"` // http://127.0.0.1:7480
	S3      string    `json:"s3"`  // http://127.0.0.1:7481
	Region  string    `json:"region"`
	// Files is the s3:// address below which `ergane run` puts files.
	Files string `json:"files"`
	// ExternalS3 says that S3 is not the embedded one: its key pair, which the
	// operator sets in ERGANE_S3_*, is then also the key of the API.
	ExternalS3 bool `json:"external_s3,omitzero"`
	ExitsIdle  bool `json:"exits_idle,omitzero"`
	// CertFile is the API's certificate where it is self-signed.
	CertFile string `json:"cert_file,omitzero"`
	// Master is Spark's master URL, for doctor to show.
	Master string `json:"master"`
	// Group says whether the server's sessions have control groups. That depends on
	// where the server was started, so doctor cannot find it out itself.
	Group   sandbox.Layer `json:"group,omitzero"`
	Version string        `json:"version"`
	// Keep says how long sessions are kept, for doctor to show.
	Keep string `json:"keep,omitzero"`
	// WideKeys are the sessions with a key that may call the whole API, for doctor to show.
	WideKeys WideKeys `json:"wide_keys,omitzero"`
}

// ServerFile is the path of server.json.
func ServerFile(dataDir string) string { return filepath.Join(dataDir, "server.json") }

// ReadServer reads server.json; false if there is none, because no server runs.
func ReadServer(dataDir string) (Server, bool, error) {
	var info Server
	raw, err := os.ReadFile(ServerFile(dataDir))
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

// WriteJSON replaces a file, which only its owner can read, durably: with all of
// its new content or not at all.
func WriteJSON(path string, v any) error {
	raw, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	return durable.Replace(path, 0o600, append(raw, '\n'))
}

// ServedBy names the server of a data dir, in brackets; empty if it is unknown.
func ServedBy(dataDir string) string {
	info, ok, err := ReadServer(dataDir)
	if err != nil || !ok {
		return ""
	}
	return fmt.Sprintf(" (process %d, %s)", info.PID, info.API)
}

// WideKeys says which sessions have a key that may call the whole API.
type WideKeys struct {
	Results bool     `json:"results,omitzero"` // those without a role
	Roles   []string `json:"roles,omitempty"`  // those of these roles
}

// Database is the path of the database.
func Database(dataDir string) string { return filepath.Join(dataDir, "ergane.db") }

// Catalog is the folder of the catalog that sessions share.
func Catalog(dataDir string) string { return filepath.Join(dataDir, "metastore") }

// ClientEnv is the environment in which AWS clients find the server.
func (info Server) ClientEnv(key credentials.Key) []string {
	env := []string{
		"AWS_ENDPOINT_URL_ATHENA=" + info.API,
		"AWS_ENDPOINT_URL_S3=" + info.S3,
		"AWS_ACCESS_KEY_ID=" + key.AccessKeyID,
		"AWS_SECRET_ACCESS_KEY=" + key.Secret,
		"AWS_REGION=" + info.Region,
		"AWS_DEFAULT_REGION=" + info.Region,
	}
	if info.CertFile != "" {
		env = append(env, "AWS_CA_BUNDLE="+info.CertFile)
	}
	return env
}

// Self is this program, even after its file was deleted, as `go run` does.
const Self = "/proc/self/exe"

// Region is the region of a server and its embedded S3.
const Region = "us-east-1"

// A Danger is a security problem and what to do about it.
type Danger struct{ Detail, Advice string }

// Dangers lists the problems with the keys.
func (w WideKeys) Dangers() (all []Danger) {
	if w.Results {
		all = append(all, Danger{
			Detail: "session code holds the server's key of the external S3 and may call the whole API",
			Advice: "set ERGANE_S3_SESSION_ACCESS_KEY_ID and ERGANE_S3_SESSION_SECRET_ACCESS_KEY to another pair of that S3"})
	}
	if len(w.Roles) > 0 {
		all = append(all, Danger{
			Detail: "session code holds its role's key and may call the whole API: " + strings.Join(w.Roles, ", "),
			Advice: "set session_access_key_id and session_secret_access_key in the file of --roles to another pair of that S3"})
	}
	return all
}
