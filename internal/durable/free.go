package durable

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// Free is how many bytes this user can still write to a folder's disk.
func Free(dir string) (int64, error) {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return 0, fmt.Errorf("read the free space of %s: %w", dir, err)
	}
	return int64(st.Bavail) * int64(st.Bsize), nil
}
