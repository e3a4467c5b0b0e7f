package main

import (
	"github.com/ergane-dev/ergane/internal/kernel"
	"github.com/ergane-dev/ergane/internal/objects/gateway"
	"github.com/ergane-dev/ergane/internal/sandbox"
)

// children are the subcommands with which Ergane starts itself. They are not
// for users, parse their own arguments, and know nothing of the rest: a shim
// lives, and stays small, as long as its session.
var children = map[string]func(args []string) int{
	"shim": func([]string) int { return kernel.ShimMain() },
	// Between a shim and its kernel.
	"confine": sandbox.Main,
	"s3":      gateway.Main,
}
