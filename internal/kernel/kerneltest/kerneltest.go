// Package kerneltest gives tests a stand-in for the Python kernel: a process
// that speaks the kernel's protocol and writes its files, starts in
// milliseconds, and does on command what real kernels rarely do.
package kerneltest

import (
	"os"

	"github.com/ergane-dev/ergane/internal/kernel"
	"github.com/ergane-dev/ergane/internal/sandbox"
)

const argument = "stand-in-kernel"

// RunChild has to be called first in TestMain. It never returns in a process
// that is a shim, a stage of the sandbox or a stand-in kernel, all of which are
// the test binary itself.
func RunChild() {
	if len(os.Args) < 2 {
		return
	}
	switch os.Args[1] {
	case "shim":
		os.Exit(kernel.ShimMain())
	case "confine":
		os.Exit(sandbox.Main(os.Args[2:]))
	case argument:
		os.Exit(standIn())
	}
}

// Argv is the command of the stand-in, for kernel.Spec.
//
// Its code is one command a line, in order:
//
//	print TEXT, err TEXT        a line to stdout, stderr
//	output JSON                 a line to the rich outputs
//	append FILE TEXT            a line to any file, durable
//	fill FROM TO TEXT           bytes FROM to TO of endless numbered lines of TEXT to stdout
//	sleep DURATION              until it is over or the calculation is interrupted
//	stubborn DURATION           deaf to the interrupt
//	gil DURATION                deaf to the interrupt and to the socket
//	spawn COMMAND, escape COMMAND  leave a process behind, in the kernel's group or with a session of its own and no environment
//	raise NAME VALUE            fail the calculation
//	exit STATUS, kill SIGNAL    end the process
//	eat MIB                     have so much memory at once
//	unrecorded WHY              end the block with an outcome that cannot be written
//	driver CODE SIGNAL          the Spark driver dies
//	hangup                      close every connection
//	junk N                      send N lines that are no frames
//	flood                       send one endless line
//
// The variable STANDIN_START in Boot.Env changes the start: "refuse NAME VALUE"
// as when Spark refuses a property, "mute" to never listen, "slow DURATION"
// to become ready late, "speaks newer" to answer a hello with version 2 of the
// protocol, "speaks refuses" to refuse the version of the server, "log TEXT" to
// print a line to the session log.
func Argv() []string { return []string{executable(), argument} }

func executable() string {
	self, err := os.Executable()
	if err != nil {
		panic(err)
	}
	return self
}
