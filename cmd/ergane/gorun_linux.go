package main

import (
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// watchGoRun calls stop when the `go run` that started this program is gone: a
// SIGTERM ends it without a signal to its child.
func watchGoRun(stop func()) {
	exe, err := os.Executable()
	if err != nil || !strings.Contains(exe, "/go-build") {
		return
	}
	if sid, err := unix.Getsid(0); err != nil || sid == os.Getpid() {
		return // a server that was started to outlive the process that started it
	}
	parent := os.Getppid()
	go func() {
		for os.Getppid() == parent {
			time.Sleep(200 * time.Millisecond)
		}
		stop()
	}()
}
