// Package credentials makes and finds the access keys of one data dir: the root
// key that its owner uses, and a key for the code of each session. Session keys are
// derived, so they need not be stored or passed on: every process that can read
// keys.json knows all of them.
package credentials

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base32"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/ergane-dev/ergane/internal/durable"
	"github.com/google/uuid"
)

// FileName is the key file's name in a data dir.
const FileName = "keys.json"

const (
	rootPrefix    = "ERGA" // 20 characters in all, as AWS's own
	sessionPrefix = "ERGS" // 30 characters: the prefix and the session's id
)

// A Key is an access key pair. SessionID is empty for the root key.
type Key struct {
	AccessKeyID string
	Secret      string
	SessionID   string
}

// A Keyring holds the keys of one data dir. It is immutable.
type Keyring struct {
	root   Key
	master []byte
}

// file is the layout of keys.json.
type file struct {
	V               int    `json:"v"`
	AccessKeyID     string `json:"access_key_id"`
	SecretAccessKey string `json:"secret_access_key"`
	Master          string `json:"master"`
}

// Open reads keys.json of the data dir, or creates it (mode 0600). Two processes
// that open a new data dir at the same time get the same keys.
func Open(dataDir string) (*Keyring, error) {
	path := filepath.Join(dataDir, FileName)
	for range 2 {
		raw, err := os.ReadFile(path)
		if err == nil {
			return parse(path, raw)
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("read keys: %w", err)
		}
		if err := create(path); err != nil {
			return nil, fmt.Errorf("make keys: %w", err)
		}
	}
	return nil, fmt.Errorf("read keys: %s vanished", path)
}

// OpenExisting is Open without creating the file.
func OpenExisting(dataDir string) (*Keyring, error) {
	path := filepath.Join(dataDir, FileName)
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read keys: %w", err)
	}
	return parse(path, raw)
}

func parse(path string, raw []byte) (*Keyring, error) {
	var f file
	if err := json.Unmarshal(raw, &f); err != nil {
		return nil, fmt.Errorf("read keys: %s: %w", path, err)
	}
	master, err := hex.DecodeString(f.Master)
	if err != nil || len(master) != sha256.Size || f.AccessKeyID == "" || f.SecretAccessKey == "" {
		return nil, fmt.Errorf("read keys: %s is damaged; restore it, or delete it to get new keys (running sessions are lost then)", path)
	}
	return &Keyring{root: Key{AccessKeyID: f.AccessKeyID, Secret: f.SecretAccessKey}, master: master}, nil
}

// create writes new keys unless the file exists. It is linked into place, so that a
// reader sees the whole file or none.
func create(path string) error {
	random := make([]byte, 10+30+sha256.Size)
	if _, err := rand.Read(random); err != nil {
		return err
	}
	raw, err := json.MarshalIndent(file{
		V:               1,
		AccessKeyID:     rootPrefix + base32.StdEncoding.EncodeToString(random[:10]),
		SecretAccessKey: base64.StdEncoding.EncodeToString(random[10:40]),
		Master:          hex.EncodeToString(random[40:]),
	}, "", "  ")
	if err != nil {
		return err
	}
	tmp, err := os.CreateTemp(filepath.Dir(path), ".keys-*") // mode 0600
	if err != nil {
		return err
	}
	defer os.Remove(tmp.Name())
	_, err = tmp.Write(append(raw, '\n'))
	err = errors.Join(err, tmp.Sync(), tmp.Close())
	if err != nil {
		return err
	}
	if err := os.Link(tmp.Name(), path); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return durable.SyncFolder(filepath.Dir(path))
}

// Root is the key of the data dir's owner.
func (k *Keyring) Root() Key { return k.root }

// Session is the key of a session; sessionID is a UUID.
func (k *Keyring) Session(sessionID string) Key {
	id, err := uuid.Parse(sessionID)
	if err != nil {
		return Key{}
	}
	access := sessionPrefix + strings.TrimRight(base32.StdEncoding.EncodeToString(id[:]), "=")
	secret := base64.RawURLEncoding.EncodeToString(k.Derive("session key " + access))[:40]
	return Key{AccessKeyID: access, Secret: secret, SessionID: id.String()}
}

// CatalogID is used instead of a session's id in the catalog's key. No session has it.
const CatalogID = "00000000-0000-4000-8000-0000000ca7a1"

// CatalogLock is the file, relative to the data dir, that is locked while the
// catalog runs. Its key is valid as long as that.
var CatalogLock = filepath.Join("metastore", "lock")

// Catalog is the key of the catalog's process, for the embedded S3 alone.
func (k *Keyring) Catalog() Key { return k.Session(CatalogID) }

// SessionOf is the session whose key has the access key id; empty for every other key.
func SessionOf(accessKeyID string) string {
	encoded, ok := strings.CutPrefix(accessKeyID, sessionPrefix)
	if !ok {
		return ""
	}
	raw, err := base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(encoded)
	if err != nil {
		return ""
	}
	id, err := uuid.FromBytes(raw)
	if err != nil {
		return ""
	}
	return id.String()
}

// Lookup finds the key of an access key id. That a session's key is found does
// not mean that the session exists.
func (k *Keyring) Lookup(accessKeyID string) (Key, bool) {
	if accessKeyID == k.root.AccessKeyID {
		return k.root, true
	}
	key := k.Session(SessionOf(accessKeyID))
	return key, accessKeyID != "" && key.AccessKeyID == accessKeyID
}

// KernelToken is what a client must send when it connects to a session's kernel: 64 hex digits.
func (k *Keyring) KernelToken(sessionID string) string {
	return hex.EncodeToString(k.Derive("kernel token " + sessionID))
}

// Derive returns 32 secret bytes for a purpose; always the same for the same purpose.
func (k *Keyring) Derive(purpose string) []byte {
	mac := hmac.New(sha256.New, k.master)
	mac.Write([]byte(purpose))
	return mac.Sum(nil)
}
