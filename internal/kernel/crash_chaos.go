//go:build chaos

package kernel

import (
	"os"
	"syscall"
)

const crashVariable = "ERGANE_CRASH"

func crashAt(point string) {
	if os.Getenv(crashVariable) == point {
		syscall.Kill(os.Getpid(), syscall.SIGKILL)
		select {}
	}
}

func crashEnv() []string { return []string{crashVariable + "=" + os.Getenv(crashVariable)} }
