package gateway

import (
	"errors"
	"path/filepath"
	"sync"
	"time"

	"github.com/versity/versitygw/auth"

	"github.com/ergane-dev/ergane/internal/credentials"
	"github.com/ergane-dev/ergane/internal/flock"
)

const (
	// verdictFor is how long a check of a session's lock is valid.
	verdictFor = time.Second
	// maxVerdicts bounds the memory that invented key ids can take.
	maxVerdicts = 1024
)

// accounts is versitygw's view of the data dir's keys. The root key is always
// valid; a session's key, and the catalog's, while the lock of its process is
// held. All of them may do everything with objects and buckets.
type accounts struct {
	ring     *credentials.Keyring
	sessions string

	mu    sync.Mutex
	alive map[string]verdict // by session id; guarded by mu
}

type verdict struct {
	alive bool
	until time.Time
}

var (
	_ auth.IAMService       = (*accounts)(nil)
	_ auth.FixedBucketOwner = (*accounts)(nil)
)

func newAccounts(ring *credentials.Keyring, sessions string) *accounts {
	return &accounts{ring: ring, sessions: sessions, alive: map[string]verdict{}}
}

func (a *accounts) GetUserAccount(access string) (auth.Account, error) {
	key, ok := a.ring.Lookup(access)
	if !ok || key.SessionID != "" && !a.sessionAlive(key.SessionID) {
		return auth.Account{}, auth.ErrNoSuchUser
	}
	return auth.Account{Access: key.AccessKeyID, Secret: key.Secret, Role: auth.RoleAdmin}, nil
}

func (a *accounts) sessionAlive(id string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	now := time.Now()
	if v, ok := a.alive[id]; ok && now.Before(v.until) {
		return v.alive
	}
	if len(a.alive) >= maxVerdicts {
		clear(a.alive)
	}
	// The lock is taken before the kernel starts, and held until its shim ends.
	lock := filepath.Join(a.sessions, id, "lock")
	if id == credentials.CatalogID {
		lock = filepath.Join(filepath.Dir(a.sessions), credentials.CatalogLock)
	}
	alive, err := flock.Held(lock)
	alive = alive && err == nil
	a.alive[id] = verdict{alive, now.Add(verdictFor)}
	return alive
}

// BucketOwner makes the root key the owner of every bucket, whoever creates it:
// a session's key is valid only while the session lives.
func (a *accounts) BucketOwner() auth.Account {
	root := a.ring.Root()
	return auth.Account{Access: root.AccessKeyID, Secret: root.Secret, Role: auth.RoleAdmin}
}

func (a *accounts) ResolveAccounts(ids []string) (unknown []string, err error) {
	for _, id := range ids {
		if _, err := a.GetUserAccount(id); err != nil {
			unknown = append(unknown, id)
		}
	}
	return unknown, nil
}

func (a *accounts) ListUserAccounts() ([]auth.Account, error) { return nil, nil }
func (a *accounts) Shutdown() error                           { return nil }

// Keys are derived, not administered.

func (a *accounts) CreateAccount(auth.Account) error { return errors.ErrUnsupported }
func (a *accounts) UpdateUserAccount(string, auth.MutableProps) error {
	return errors.ErrUnsupported
}
func (a *accounts) DeleteUserAccount(string) error { return errors.ErrUnsupported }
