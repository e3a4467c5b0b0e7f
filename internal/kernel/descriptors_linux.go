package kernel

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// Descriptors limit how many files each process of a kernel may have open. The
// zero value means the limits of the server that starts it.
type Descriptors struct {
	Soft uint64 `json:"soft"`
	Hard uint64 `json:"hard"` // what they may raise it to
}

// set makes them the limits of this process and of all that it starts from now on.
func (d Descriptors) set() error {
	if d == (Descriptors{}) {
		return nil
	}
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: d.Soft, Max: d.Hard}); err != nil {
		return fmt.Errorf("limit the descriptors to %d of %d: %w", d.Soft, d.Hard, err)
	}
	return nil
}
