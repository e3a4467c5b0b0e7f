package gateway

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/ergane-dev/ergane/internal/child"
)

// Servers of other versions adopt the process.
func TestTheHandleKeepsItsFormOnDisk(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	h := handle{V: 1, Identity: child.Identity{PID: 2, Start: 3, BootID: "b"}, Addr: "127.0.0.1:4", Build: "x", Clean: true}
	if err := h.write(dir); err != nil {
		t.Fatal(err)
	}
	const want = `{"v":1,"pid":2,"start":3,"boot_id":"b","addr":"127.0.0.1:4","build":"x","clean":true}` + "\n"
	if got, err := os.ReadFile(filepath.Join(dir, "s3.json")); err != nil || string(got) != want {
		t.Errorf("got %s, %v; want %s", got, err, want)
	}
	if got, err := readHandle(dir); err != nil || got != h {
		t.Errorf("read %+v, %v; want %+v", got, err, h)
	}
}
