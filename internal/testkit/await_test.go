package testkit_test

import (
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ergane-dev/ergane/internal/testkit"
)

func TestAwaitReturnsAsSoonAsTheConditionHolds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		start, calls := time.Now(), 0
		testkit.Await(t, time.Minute, func() bool { calls++; return time.Since(start) >= time.Second })
		if took := time.Since(start); took > 1100*time.Millisecond {
			t.Errorf("returned after %v", took)
		}
		if calls < 2 {
			t.Errorf("polled %d times", calls)
		}
	})
}

func TestAwaitFailsTheTestAtTheDeadlineWithTheLastError(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		start, probe := time.Now(), &recorder{TB: t}
		finished := make(chan struct{})
		go func() {
			defer close(finished)
			testkit.AwaitOK(probe, 10*time.Second, func() error { return errors.New("the door is shut") })
			t.Error("went on after the deadline")
		}()
		<-finished
		if !strings.Contains(probe.said, "the door is shut") {
			t.Errorf("said %q", probe.said)
		}
		if took := time.Since(start); took < 10*time.Second || took > 11*time.Second {
			t.Errorf("gave up after %v", took)
		}
	})
}

// recorder is a testing.TB that records its failure.
type recorder struct {
	testing.TB
	said string
}

func (r *recorder) Helper() {}

func (r *recorder) Fatalf(format string, args ...any) {
	r.said = fmt.Sprintf(format, args...)
	runtime.Goexit()
}
