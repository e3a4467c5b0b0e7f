package kernel_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	osexec "os/exec"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/ergane-dev/ergane"
	"github.com/ergane-dev/ergane/internal/kernel"
)

// starvedArgument makes the test binary a server that adopts the kernel of a
// folder while almost no descriptors are free.
const starvedArgument = "starved"

// starvedMain tries to adopt with none, with one, and so on until it can.
func starvedMain(dir string) int {
	var most unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &most); err != nil {
		fmt.Println(err)
		return 1
	}
	if r, w, err := os.Pipe(); err == nil { // Go has then opened the descriptors of its poller
		r.Close()
		w.Close()
	}
	for room := range uint64(64) {
		next, err := unix.Open("/dev/null", unix.O_RDONLY|unix.O_CLOEXEC, 0)
		if err != nil {
			fmt.Println(err)
			return 1
		}
		unix.Close(next)
		if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: uint64(next) + room, Max: most.Max}); err != nil {
			fmt.Println(err)
			return 1
		}
		k, err := kernel.Adopt(context.Background(), dir, token, nil)
		unix.Setrlimit(unix.RLIMIT_NOFILE, &most)
		switch {
		case err == nil:
			k.Detach()
			if room == 0 {
				fmt.Println("it needs no descriptor: the test tests nothing")
				return 1
			}
			return 0
		case !errors.Is(err, unix.EMFILE), errors.Is(err, kernel.ErrLost), errors.Is(err, kernel.ErrNotStarted):
			fmt.Printf("with room for %d: %v\n", room, err)
			return 1
		}
	}
	fmt.Println("it was never adopted")
	return 1
}

func TestAServerWithoutDescriptorsDoesNotTakeAKernelForDead(t *testing.T) {
	t.Parallel()
	k, dir := startStandIn(t)
	starved := osexec.Command(os.Args[0], starvedArgument, dir)
	if out, err := starved.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	next, err := kernel.Adopt(patience(t), dir, token, nil)
	must(t, err)
	endAfter(t, next)
	if next.PID() != k.PID() {
		t.Errorf("another kernel")
	}
	if o := run(t, next, "one", "print"); o.State != ergane.CalculationCompleted {
		t.Errorf("outcome %+v", o)
	}
}
