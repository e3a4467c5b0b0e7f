package credentials_test

import (
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/ergane-dev/ergane/internal/credentials"
)

const session = "0193a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5b"

func open(t *testing.T, dir string) *credentials.Keyring {
	t.Helper()
	k, err := credentials.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func TestKeysAreMadeOnceAndReadableByTheOwnerAlone(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	var wg sync.WaitGroup
	keys := make([]credentials.Key, 8)
	for i := range keys {
		wg.Go(func() {
			if k, err := credentials.Open(dir); err == nil {
				keys[i] = k.Root()
			}
		})
	}
	wg.Wait()
	for _, k := range keys {
		if k != keys[0] || len(k.AccessKeyID) != 20 || len(k.Secret) != 40 {
			t.Errorf("got different or odd keys: %+v", keys)
		}
	}
	st, err := os.Stat(filepath.Join(dir, credentials.FileName))
	if err != nil || st.Mode().Perm() != 0o600 {
		t.Errorf("keys.json: %v %v, want mode 0600", st.Mode(), err)
	}
	if left, _ := filepath.Glob(filepath.Join(dir, ".keys-*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestSessionKeysAreFoundByTheirAccessKeyID(t *testing.T) {
	t.Parallel()
	k := open(t, t.TempDir())
	key := k.Session(session)
	got, ok := k.Lookup(key.AccessKeyID)
	if !ok || got != key || got.SessionID != session {
		t.Errorf("Lookup = %+v, %v; want %+v", got, ok, key)
	}
	if root, ok := k.Lookup(k.Root().AccessKeyID); !ok || root != k.Root() {
		t.Errorf("the root key is not found")
	}
	for _, bad := range []string{"", "ERGS", "AKIAIOSFODNN7EXAMPLE", key.AccessKeyID + "A", strings.ToLower(key.AccessKeyID), key.AccessKeyID[:29]} {
		if got, ok := k.Lookup(bad); ok {
			t.Errorf("Lookup(%q) = %+v, want none", bad, got)
		}
	}
}

func TestAnotherDataDirHasOtherKeys(t *testing.T) {
	t.Parallel()
	a, b := open(t, t.TempDir()), open(t, t.TempDir())
	if a.Root() == b.Root() || a.Session(session) == b.Session(session) || a.KernelToken(session) == b.KernelToken(session) {
		t.Error("two data dirs share a secret")
	}
}

func TestADamagedKeyFileIsNamed(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, credentials.FileName)
	if err := os.WriteFile(path, []byte(`{"v":1}`), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := credentials.Open(dir); err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("Open = %v, want an error that names %s", err, path)
	}
}
