package server

import (
	"path/filepath"
	"strings"
	"testing"
)

func TestPortZeroIsKeptForTheDataFolder(t *testing.T) {
	t.Parallel()
	kept := filepath.Join(t.TempDir(), "listen")
	first, err := listen("127.0.0.1:0", kept)
	if err != nil {
		t.Fatal(err)
	}
	addr := first.Addr().String()
	first.Close()
	second, err := listen("127.0.0.1:0", kept)
	if err != nil {
		t.Fatal(err)
	}
	defer second.Close()
	if second.Addr().String() != addr {
		t.Errorf("listens on %s, then on %s", addr, second.Addr())
	}
	if _, err := listen(addr, kept); err == nil || !strings.Contains(err.Error(), "in use by another program") {
		t.Errorf("an address in use: %v", err)
	}
}
