package kernel

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// DiskBeside is how many bytes of disk a session's kernel takes up outside of the
// files in its work folder: removed files that its processes still have open or
// mapped, and spawn.log. file returns the bytes that a file of so many blocks of
// 512 bytes counts for. What cannot be read counts as 0.
func DiskBeside(ctx context.Context, dir string, file func(blocks int64) int64) int64 {
	dir, err := resolve(dir)
	if err != nil {
		return 0
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return 0
	}
	defer root.Close()
	var sum int64
	if st, err := root.Lstat(spawnLog); err == nil {
		if sys, ok := st.Sys().(*syscall.Stat_t); ok {
			sum += file(sys.Blocks)
		}
	}
	var work unix.Stat_t
	if unix.Lstat(filepath.Join(dir, workFolder), &work) != nil {
		return sum
	}
	h, err := readDocument(root, handleFile, parseHandle)
	if err != nil {
		return sum
	}
	if alive, err := h.shim().Alive(); err != nil || !alive {
		return sum
	}
	u := unlinked{within: []string{filepath.Join(dir, workFolder), "/tmp", "/var/tmp"}, dev: work.Dev, file: file, seen: map[uint64]bool{}}
	for _, pid := range descendants(h.ShimPID) {
		if ctx.Err() != nil {
			break
		}
		u.open(pid)
		u.mapped(pid)
	}
	return sum + u.sum
}

// unlinked sums up the removed files of one file system, each once even if several
// processes have it. Their former names are as the process sees them, which has
// the same paths as the server except a /tmp of its own.
type unlinked struct {
	within []string // folders that the files were in
	dev    uint64
	file   func(blocks int64) int64
	seen   map[uint64]bool
	sum    int64
}

// open adds the removed files that a process has open.
func (u *unlinked) open(pid int) {
	folder := fmt.Sprintf("/proc/%d/fd", pid)
	d, err := os.Open(folder)
	if err != nil {
		return
	}
	defer d.Close()
	for {
		names, err := d.Readdirnames(1024)
		for _, name := range names {
			link := filepath.Join(folder, name)
			if to, err := os.Readlink(link); err == nil {
				u.add(to, link)
			}
		}
		if err != nil {
			return
		}
	}
}

// maxMaps bounds how many bytes of a process's list of mappings are read.
const maxMaps = 16 << 20

// mapped adds the removed files that a process has mapped, and perhaps closed. Only root may read that.
func (u *unlinked) mapped(pid int) {
	f, err := os.Open(fmt.Sprintf("/proc/%d/maps", pid))
	if err != nil {
		return
	}
	defer f.Close()
	lines := bufio.NewScanner(io.LimitReader(f, maxMaps))
	for lines.Scan() {
		// 7f00-7f10 r--p 00000000 fd:00 1234    /path (deleted)
		fields := strings.Fields(lines.Text())
		if len(fields) < 7 || !strings.HasSuffix(lines.Text(), removed) {
			continue
		}
		_, path, _ := strings.Cut(lines.Text(), " /")
		u.add("/"+path, fmt.Sprintf("/proc/%d/map_files/%s", pid, fields[0]))
	}
}

// removed is how /proc marks the name of a removed file.
const removed = " (deleted)"

// add counts a file with the former name given, which can be reached at link.
func (u *unlinked) add(called, link string) {
	if !strings.HasSuffix(called, removed) || !u.ours(called) {
		return
	}
	var st unix.Stat_t
	if unix.Stat(link, &st) != nil || st.Mode&unix.S_IFMT != unix.S_IFREG || st.Nlink > 0 || st.Dev != u.dev || u.seen[st.Ino] {
		return
	}
	u.seen[st.Ino] = true
	u.sum += u.file(st.Blocks)
}

func (u *unlinked) ours(path string) bool {
	for _, dir := range u.within {
		if strings.HasPrefix(path, dir+"/") {
			return true
		}
	}
	return false
}
