package kernel_test

import (
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/ergane-dev/ergane/internal/kernel"
)

func TestAKernelHasTheDescriptorsThatItsSpecSays(t *testing.T) {
	t.Parallel()
	var own unix.Rlimit
	must(t, unix.Getrlimit(unix.RLIMIT_NOFILE, &own))
	for name, tc := range map[string]struct {
		spec kernel.Descriptors
		want uint64
	}{
		"its own":       {kernel.Descriptors{Soft: 150, Hard: 200}, 200},
		"the starter's": {kernel.Descriptors{}, own.Max},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSpec(t)
			s.Descriptors = tc.spec
			startSpec(t, s)
			h, err := os.ReadFile(filepath.Join(s.Dir, "handle.json"))
			must(t, err)
			var got unix.Rlimit
			must(t, unix.Prlimit(int(number(t, h, "pid")), unix.RLIMIT_NOFILE, nil, &got))
			// The stand-in is a Go program, and Go raises its soft limit.
			if got.Max != tc.want || got.Cur > got.Max {
				t.Errorf("%d of %d, want %d", got.Cur, got.Max, tc.want)
			}
		})
	}
}
