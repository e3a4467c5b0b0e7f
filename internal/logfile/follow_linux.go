package logfile

import (
	"os"

	"golang.org/x/sys/unix"
)

// follow redirects stdout and stderr to the new file, if they go to the old one.
func follow(old os.FileInfo, next *os.File) {
	for _, std := range []*os.File{os.Stdout, os.Stderr} {
		if now, err := std.Stat(); err == nil && os.SameFile(now, old) {
			_ = unix.Dup3(int(next.Fd()), int(std.Fd()), 0) // else it goes on writing to the old one
		}
	}
}
