//go:build chaos

package host

import (
	"os"
	"strings"

	"github.com/ergane-dev/ergane/internal/kernel"
)

// replaceKernel lets the environment name the kernel's command, so that a
// thousand kernels can be killed in the time in which a hundred Sparks start.
// The sessions of one workgroup may keep theirs.
func replaceKernel(s *kernel.Spec) {
	if real := os.Getenv("ERGANE_CHAOS_REAL"); real != "" && s.Boot.Facts.WorkGroup == real {
		return
	}
	if command := strings.Fields(os.Getenv("ERGANE_CHAOS_KERNEL")); len(command) > 0 {
		s.Argv, s.Boot.Java = command, nil
	}
}
