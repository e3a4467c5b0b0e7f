package main

import (
	"github.com/ergane-dev/ergane/internal/kernel"
	"github.com/ergane-dev/ergane/internal/objects/gateway"
	"github.com/ergane-dev/ergane/internal/sandbox"
)

// children are the subcommands with which Ergane starts itself. They are not for
// users, parse their own arguments, and use no other part of this command: a shim
// lives as long as its session, and has to stay small.
var children = map[string]func(args []string) int{
	"shim": func([]string) int { return kernel.ShimMain() },
	// Runs between a shim and its kernel.
	"confine": sandbox.Main,
	"s3":      gateway.Main,
}
