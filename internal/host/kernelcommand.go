//go:build !chaos

package host

import "github.com/ergane-dev/ergane/internal/kernel"

// replaceKernel does nothing: only builds for `make chaos` know another kernel.
func replaceKernel(*kernel.Spec) {}
