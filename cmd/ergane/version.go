package main

import (
	"fmt"
	"runtime/debug"
)

// version is the release that the next tag will carry.
const version = "0.1.0"

type versionCmd struct{}

// Run prints the release and, where it is known, the commit.
func (versionCmd) Run() error {
	fmt.Println("ergane " + build())
	return nil
}

// build identifies this binary: children of another build are not adopted.
func build() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return version
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" && len(s.Value) >= 12 {
			return version + " (" + s.Value[:12] + ")"
		}
	}
	return version
}
