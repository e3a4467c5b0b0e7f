package child_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"testing"

	"go.uber.org/goleak"
	"golang.org/x/sys/unix"

	"github.com/ergane-dev/ergane/internal/child"
)

// TestMain lets this binary be a process without descriptors as well.
func TestMain(m *testing.M) {
	if id := os.Getenv("CHILD_LOOK_FOR"); id != "" {
		if err := lookForWithoutDescriptors(id); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		return
	}
	goleak.VerifyTestMain(m)
}

func lookForWithoutDescriptors(doc string) error {
	var id child.Identity
	if err := json.Unmarshal([]byte(doc), &id); err != nil {
		return err
	}
	if alive, err := id.Alive(); !alive || err != nil { // also makes the runtime open what it needs
		return fmt.Errorf("with descriptors: alive %v, %w", alive, err)
	}
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: 64, Max: 64}); err != nil {
		return err
	}
	var taken []int
	for {
		fd, err := unix.Dup(1)
		if err != nil {
			break
		}
		taken = append(taken, fd)
	}
	failed := 0
	for range 4 {
		_, err := child.Open(id) // what succeeds stays open: the next one has the descriptors that are freed here
		if errors.Is(err, child.ErrGone) {
			return fmt.Errorf("with %d descriptors less: %w", len(taken), err)
		}
		if err != nil {
			failed++
		}
		unix.Close(taken[0])
		taken = taken[1:]
	}
	if failed < 2 { // without any, and with one, which the process itself takes
		return fmt.Errorf("only %d looks failed", failed)
	}
	return nil
}
