package gateway_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/ergane-dev/ergane/internal/credentials"
	"github.com/ergane-dev/ergane/internal/flock"
)

func TestTheCatalogsKeyIsValidWhileTheCatalogRuns(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	sup := s.start(t, nil)
	catalog := s.client(t, sup.Endpoint(), func(o *s3.Options) { o.Credentials = keyProvider(s.ring.Catalog()) })
	refused := func() bool {
		_, err := get(t, catalog, "warehouse", "key")
		return err != nil && strings.Contains(err.Error(), "InvalidAccessKeyId")
	}
	eventually(t, "the key is refused before there is a catalog", refused)
	path := filepath.Join(s.dir, credentials.CatalogLock)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	lock, err := flock.Acquire(path) // as the catalog's process holds it
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "the key is taken", func() bool { return put(t, catalog, "warehouse", "key", "x") == nil })
	lock.Release()
	eventually(t, "the key is refused after the catalog", refused)
}
