//go:build !chaos

package kernel

// crashAt is where a build for chaos tests makes the shim kill itself.
func crashAt(string) {}

// crashEnv is what a shim is told of that.
func crashEnv() []string { return nil }
