package objects_test

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/ergane-dev/ergane/internal/objects"
)

func TestATreeIsStoredWithoutWhatLiesOutside(t *testing.T) {
	t.Parallel()
	s, _, _ := embedded(t)
	top := t.TempDir()
	dir := filepath.Join(top, "files")
	write := func(name, body string) {
		path := filepath.Join(top, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(body), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("secret", "secret")
	write("files/x.py", "print(1)")
	write("files/data/ä b.csv", "1,2")
	write("files/data/empty", "")
	for name, target := range map[string]string{
		"inside": "x.py", "outside": "../secret", "absolute": filepath.Join(top, "secret"), "dangling": "nothing", "folder": "data", "loop": ".",
	} {
		if err := os.Symlink(target, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	if err := syscall.Mkfifo(filepath.Join(dir, "pipe"), 0o600); err != nil {
		t.Fatal(err)
	}
	stored, skipped := map[string]int64{}, map[string]string{}
	err := s.PutTree(t.Context(), "s3://bucket/run/1/", dir, func(st objects.Stored) {
		if st.Skipped != "" {
			skipped[st.Name] = st.Skipped
		} else {
			stored[st.Name] = st.Size
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	if want := (map[string]int64{"x.py": 8, "data/ä b.csv": 3, "data/empty": 0, "inside": 8}); !maps.Equal(stored, want) {
		t.Errorf("stored %v", stored)
	}
	if got := slices.Sorted(maps.Keys(skipped)); strings.Join(got, " ") != "absolute dangling folder loop outside pipe" {
		t.Errorf("skipped %v", skipped)
	}
	for name := range stored {
		want, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if got, err := read(t, s, "s3://bucket/run/1/"+name, 0); err != nil || string(got) != string(want) {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
	if err := s.PutTree(t.Context(), "s3://bucket/run/1", filepath.Join(dir, "nowhere"), nil); err == nil {
		t.Error("a folder that is not there was stored")
	}
}

func TestAFileIsStored(t *testing.T) {
	t.Parallel()
	s, _, _ := embedded(t)
	path := filepath.Join(t.TempDir(), "x.py")
	if err := os.WriteFile(path, []byte("print(1)"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := s.PutFile(t.Context(), "s3://bucket/x.py", path); err != nil {
		t.Fatal(err)
	}
	if got, err := read(t, s, "s3://bucket/x.py", 0); string(got) != "print(1)" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
	if err := s.PutFile(t.Context(), "s3://bucket/dir", filepath.Dir(path)); err == nil {
		t.Error("a folder was stored as a file")
	}
}
