package kernel

import (
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// removedFile is an open, removed file of 1 MiB.
func removedFile(t *testing.T, path string) *os.File {
	t.Helper()
	f, err := os.Create(path)
	if err == nil {
		_, err = f.Write(make([]byte, 1<<20))
	}
	if err == nil {
		err = f.Sync() // some file systems allocate no blocks before
	}
	if err == nil {
		err = os.Remove(path)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

func found(t *testing.T, dir string) int64 {
	t.Helper()
	var st unix.Stat_t
	if err := unix.Stat(dir, &st); err != nil {
		t.Fatal(err)
	}
	u := unlinked{within: []string{dir}, dev: st.Dev, seen: map[uint64]bool{}, file: func(blocks int64) int64 { return blocks * 512 }}
	u.open(os.Getpid())
	u.mapped(os.Getpid())
	return u.sum
}

func TestARemovedFileThatIsOpenCountsOnce(t *testing.T) {
	t.Parallel()
	dir, other := t.TempDir(), t.TempDir()
	if got := found(t, dir); got != 0 {
		t.Errorf("%d bytes of nothing", got)
	}
	f := removedFile(t, filepath.Join(dir, "a file (deleted)"))
	removedFile(t, filepath.Join(other, "elsewhere"))
	again, err := unix.Dup(int(f.Fd()))
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(again)
	named, err := os.Create(filepath.Join(dir, "called (deleted)"))
	if err == nil {
		_, err = named.Write(make([]byte, 1<<20))
	}
	if err != nil {
		t.Fatal(err)
	}
	defer named.Close()
	if got := found(t, dir); got < 1<<20 || got >= 2<<20 {
		t.Errorf("%d bytes, want about a MiB", got)
	}
	below := filepath.Join(dir, "below")
	if err := os.Mkdir(below, 0o700); err != nil {
		t.Fatal(err)
	}
	if got := found(t, below); got != 0 {
		t.Errorf("%d bytes of a folder in which there were none", got)
	}
}

func TestARemovedFileThatIsMappedCounts(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Fatal("only root may see what is mapped; run the tests of this package as root, too")
	}
	dir := t.TempDir()
	f := removedFile(t, filepath.Join(dir, "file"))
	m, err := unix.Mmap(int(f.Fd()), 0, 1<<20, unix.PROT_READ, unix.MAP_SHARED)
	if err != nil {
		t.Fatal(err)
	}
	f.Close()
	if got := found(t, dir); got < 1<<20 || got >= 2<<20 {
		t.Errorf("%d bytes, want about a MiB", got)
	}
	if err := unix.Munmap(m); err != nil {
		t.Fatal(err)
	}
	if got := found(t, dir); got != 0 {
		t.Errorf("%d bytes of a file that no process has any more", got)
	}
}
