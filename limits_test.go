package ergane_test

import (
	"math"
	"strings"
	"testing"

	"github.com/ergane-dev/ergane"
)

func TestASessionThatCanNeverFitIsInvalid(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		limits ergane.Limits
		want   string
	}{
		{ergane.Limits{Dpus: 10}, "The session needs 20 DPUs, and no more than 10 are allowed."},
		{ergane.Limits{WorkGroupDpus: 19}, "The session needs 20 DPUs, and no more than 19 are allowed."},
		{ergane.Limits{Memory: 1 << 30}, "The session needs 2048 MiB of memory, and this server gives its sessions 1024."},
	} {
		err := c.limits.Admit(ergane.Session{Dpus: 20, Memory: 2 << 30}, ergane.Load{})
		if ergane.CodeOf(err) != ergane.CodeInvalid || !strings.HasPrefix(err.Error(), c.want) {
			t.Errorf("%+v: %v", c.limits, err)
		}
	}
}

func TestMemoryNeverOverflows(t *testing.T) {
	t.Parallel()
	l := ergane.Limits{Memory: math.MaxInt64}
	err := l.Admit(ergane.Session{Memory: math.MaxInt64}, ergane.Load{Memory: 1 << 40})
	if ergane.CodeOf(err) != ergane.CodeQuota {
		t.Errorf("admitted: %v", err)
	}
}
