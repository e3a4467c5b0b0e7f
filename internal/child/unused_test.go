package child_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ergane-dev/ergane/internal/child"
)

func TestAProcessIsUnusedOnlyAfterItsLastUse(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		begun := time.Now()
		used := func() bool { return time.Since(begun) < time.Minute || time.Since(begun) == 90*time.Second }
		longEnough := func(unused time.Duration) bool { return unused > time.Minute }
		if !child.AwaitUnused(t.Context(), time.Second, used, longEnough) {
			t.Fatal("it is used for ever")
		}
		// The last use was that of the 90th second.
		if took := time.Since(begun); took != 151*time.Second {
			t.Errorf("after %v", took)
		}
	})
}

func TestTheWaitForAnUnusedProcessEndsWithItsContext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		if child.AwaitUnused(ctx, time.Second, func() bool { return true }, func(time.Duration) bool { return true }) {
			t.Error("it is unused while it is used")
		}
	})
}
