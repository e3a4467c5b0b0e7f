package kernel_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	osexec "os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ergane-dev/ergane"
	"github.com/ergane-dev/ergane/internal/flock"
	"github.com/ergane-dev/ergane/internal/kernel"
)

// serverArgument makes the test binary a server that holds the lock, adopts
// the kernel of a folder or starts one, and gives it one calculation.
const serverArgument = "server"

func serverMain(args []string) int {
	dir, lock, id, code := args[0], args[1], args[2], args[3]
	fail := func(err error) int {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	if _, err := flock.Acquire(lock); err != nil {
		return fail(err)
	}
	ctx := context.Background()
	k, err := kernel.Adopt(ctx, dir, token, nil)
	if errors.Is(err, kernel.ErrNotStarted) {
		k, err = kernel.Start(ctx, serverSpec(dir, lock))
	}
	if err != nil {
		return fail(err)
	}
	fmt.Println("submits")
	if err := k.Exec(ctx, id, code); err != nil {
		return fail(err)
	}
	fmt.Println("submitted")
	select {} // until it is killed
}

// TestAServerKilledAroundSubmitRunsTheCodeOnce kills servers at random
// moments and has the next one resubmit, as recovery does.
func TestAServerKilledAroundSubmitRunsTheCodeOnce(t *testing.T) {
	t.Parallel()
	s := newSpec(t)
	must(t, os.MkdirAll(s.Dir, 0o700))
	marks := filepath.Join(filepath.Dir(s.Dir), "marks")
	for round := range 20 {
		id := fmt.Sprintf("c%d", round)
		code := fmt.Sprintf("append %s %s\nsleep 3ms", marks, id)
		server := osexec.Command(os.Args[0], serverArgument, s.Dir, s.ServerLock, id, code)
		server.Stderr = os.Stderr
		out, err := server.StdoutPipe()
		must(t, err)
		must(t, server.Start())
		if _, err := out.Read(make([]byte, len("submits\n"))); err != nil {
			t.Errorf("the server failed: %v", err)
		}
		timer := time.After(time.Duration(rand.IntN(6000)) * time.Microsecond) // the moment is the point of the test
		<-timer
		server.Process.Kill()
		server.Wait()

		k, err := kernel.Adopt(patience(t), s.Dir, token, nil)
		must(t, err)
		if o := run(t, k, id, code); o.State != ergane.CalculationCompleted {
			t.Fatalf("round %d: %+v", round, o)
		}
		if round == 19 {
			endAfter(t, k)
		} else {
			k.Detach()
		}
	}
	b, err := os.ReadFile(marks)
	must(t, err)
	seen := map[string]int{}
	for id := range strings.Lines(string(b)) {
		seen[strings.TrimSpace(id)]++
	}
	for round := range 20 {
		if n := seen[fmt.Sprintf("c%d", round)]; n != 1 {
			t.Errorf("the code of round %d ran %d times", round, n)
		}
	}
}

// TestAServerKilledAtTheStartLeavesAKernelOrNone kills servers while they start a kernel.
func TestAServerKilledAtTheStartLeavesAKernelOrNone(t *testing.T) {
	t.Parallel()
	for range 10 {
		s := newSpec(t)
		server := osexec.Command(os.Args[0], serverArgument, s.Dir, s.ServerLock, "c", "print")
		must(t, server.Start())
		timer := time.After(time.Duration(rand.IntN(60)) * time.Millisecond) // the moment is the point of the test
		<-timer
		server.Process.Kill()
		server.Wait()
		k, err := kernel.Adopt(patience(t), s.Dir, token, nil)
		if errors.Is(err, kernel.ErrNotStarted) {
			continue
		}
		must(t, err)
		if o := run(t, k, "c", "print"); o.State != ergane.CalculationCompleted {
			t.Errorf("outcome %+v", o)
		}
		k.Shutdown(context.Background(), 0)
		k.Detach()
	}
}
