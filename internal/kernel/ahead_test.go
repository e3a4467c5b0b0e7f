package kernel_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ergane-dev/ergane"
	"github.com/ergane-dev/ergane/internal/flock"
	"github.com/ergane-dev/ergane/internal/kernel"
)

// startAhead starts a stand-in kernel that waits for its session.
func startAhead(t *testing.T, change func(*kernel.Spec)) (*kernel.Kernel, string) {
	t.Helper()
	s := newSpec(t)
	s.Ahead = &kernel.Ahead{Shape: "round"}
	if change != nil {
		change(&s)
	}
	k := startSpec(t, s)
	must(t, k.Ready(patience(t)))
	return k, s.Dir
}

func TestAKernelThatWaitsTakesCodeOnceItIsClaimed(t *testing.T) {
	t.Parallel()
	k, dir := startAhead(t, nil)
	if shape, at, ok := kernel.ReadAhead(dir); !ok || shape != "round" || time.Since(at) > time.Minute {
		t.Errorf("ahead %q since %v, %t", shape, at, ok)
	}
	soon, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := k.Exec(soon, "early", "print no"); err == nil {
		t.Error("it takes code before it is claimed")
	}
	claim := kernel.Claim{Facts: kernel.Facts{WorkGroup: "primary"}, Spark: map[string]string{"spark.x": "1"}}
	for range 2 { // a repeated claim is the same one
		must(t, k.Claim(patience(t), claim))
	}
	if o := run(t, k, "one", "print yes"); o.State != ergane.CalculationCompleted {
		t.Errorf("outcome %+v", o)
	}
	if !kernel.Claimed(dir) {
		t.Error("it is not known to be claimed")
	}
}

func TestTheNextServerClaimsAKernelOfTheOneBefore(t *testing.T) {
	t.Parallel()
	k, dir := startAhead(t, nil)
	k.Detach()
	k, err := kernel.Adopt(patience(t), dir, token, nil)
	must(t, err)
	endAfter(t, k)
	must(t, k.Claim(patience(t), kernel.Claim{}))
	if o := run(t, k, "one", "print yes"); o.State != ergane.CalculationCompleted {
		t.Errorf("outcome %+v", o)
	}
}

func TestARefusalOfSparkIsTheErrorOfAClaim(t *testing.T) {
	t.Parallel()
	k, _ := startAhead(t, nil)
	for range 2 {
		err := k.Claim(patience(t), kernel.Claim{Spark: map[string]string{"spark.refuse": "x must be positive"}})
		if refusal, ok := errors.AsType[*kernel.SparkError](err); !ok || refusal.Error() != "IllegalArgumentException: x must be positive" {
			t.Errorf("Claim: %v", err)
		}
	}
}

func TestADeadKernelCannotBeClaimed(t *testing.T) {
	t.Parallel()
	k, _ := startAhead(t, nil)
	must(t, unix.Kill(k.PID(), unix.SIGKILL))
	if e := gone(t, k.Claim(patience(t), kernel.Claim{})); e.Exit.Signal != 9 {
		t.Errorf("exit %+v", e.Exit)
	}
}

func TestAKernelThatWaitsHasALowPriorityAndAClaimedOneDoesNot(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Log("threads keep the priority of their starter: only root gives it back to them")
	}
	t.Parallel()
	k, _ := startAhead(t, nil)
	now := func() (nice int, group string) {
		got, err := unix.Getpriority(unix.PRIO_PROCESS, k.PID())
		must(t, err)
		b, _ := os.ReadFile(fmt.Sprintf("/proc/%d/autogroup", k.PID())) // not on every machine
		_, group, _ = strings.Cut(strings.TrimSpace(string(b)), " nice ")
		return 20 - got, group
	}
	wait := map[bool]int{true: 19, false: 0}[os.Geteuid() == 0]
	if nice, group := now(); nice != wait || group != "19" && group != "" {
		t.Errorf("while it waits: nice %d, of its group %s", nice, group)
	}
	must(t, k.Claim(patience(t), kernel.Claim{}))
	if nice, group := now(); nice != 0 || group != "0" && group != "" {
		t.Errorf("claimed: nice %d, of its group %s", nice, group)
	}
}

func TestAClaimSaysHowLongTheKernelLivesWithoutAServer(t *testing.T) {
	t.Parallel()
	var servers []*flock.Lock
	short := func(s *kernel.Spec) {
		s.DeadMan = time.Second
		servers = append(servers, holdLock(t, s.ServerLock)) // until both are there
	}
	left, _ := startAhead(t, short)
	claimed, _ := startAhead(t, short)
	must(t, claimed.Claim(patience(t), kernel.Claim{DeadMan: time.Hour}))
	for _, server := range servers {
		must(t, server.Release())
	}
	select {
	case <-left.Done():
	case <-patience(t).Done():
		t.Fatal("the kernel that was not claimed lives on")
	}
	if exit := left.Exit(); !strings.Contains(exit.String(), "there was no server for") {
		t.Errorf("it ended: %v", exit)
	}
	if o := run(t, claimed, "one", "print yes"); o.State != ergane.CalculationCompleted {
		t.Errorf("outcome %+v", o)
	}
}
