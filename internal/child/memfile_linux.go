package child

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// MemoryFile makes a file in memory, which a child reads from the beginning.
// Unlike a pipe it holds any length without a reader.
func MemoryFile(name string, content []byte) (*os.File, error) {
	fd, err := unix.MemfdCreate(name, unix.MFD_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("memory file: %w", err)
	}
	f := os.NewFile(uintptr(fd), name)
	if _, err := f.WriteAt(content, 0); err != nil { // the position stays at 0
		f.Close()
		return nil, fmt.Errorf("memory file: %w", err)
	}
	return f, nil
}
