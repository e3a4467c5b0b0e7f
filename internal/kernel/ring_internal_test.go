package kernel

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"pgregory.net/rapid"
)

func TestTheLogKeepsItsEnd(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		dir, err := os.MkdirTemp(t.TempDir(), "")
		if err != nil {
			rt.Fatal(err)
		}
		root, err := os.OpenRoot(dir)
		if err != nil {
			rt.Fatal(err)
		}
		defer root.Close()
		const limit = 64
		ring, err := openLogRing(root, limit)
		if err != nil {
			rt.Fatal(err)
		}
		defer func() { ring.f.Close() }()
		var all []byte
		for i := range rapid.IntRange(0, 30).Draw(rt, "writes") {
			p := bytes.Repeat([]byte{'a' + byte(i%26)}, rapid.IntRange(1, limit).Draw(rt, "length"))
			all = append(all, p...)
			ring.Write(p)
		}
		var kept []byte
		for _, file := range Logs(dir) {
			part, err := os.ReadFile(file)
			if err != nil && !errors.Is(err, fs.ErrNotExist) {
				rt.Fatal(err)
			}
			kept = append(kept, part...)
		}
		if !bytes.HasSuffix(all, kept) || len(kept) < min(len(all), limit-limit/2) || len(kept) > 2*limit {
			rt.Fatalf("kept %d of %d bytes", len(kept), len(all))
		}
	})
}

func TestTheLogNeverFailsItsWriter(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "gone")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	ring, err := openLogRing(root, 4)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	for range 5 {
		if n, err := ring.Write([]byte("abc")); n != 3 || err != nil {
			t.Fatalf("Write = %d, %v", n, err)
		}
	}
}
