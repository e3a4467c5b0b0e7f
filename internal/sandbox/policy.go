// Package sandbox keeps the process of a session's code to that session: what
// it can read and write, whom it can reach, and who it is.
//
// The layers are independent of each other, and each is there or not by what
// the system grants: a user of its own, a file system view of its own (a mount
// namespace), Landlock, limits. Detect finds out by trying. They are put on by
// Main, a stage between the shim and the kernel that ends by becoming the
// kernel (exec), so that the shim still waits for the very process that runs
// the code.
package sandbox

import (
	"encoding/json"
	"errors"
	"slices"
)

// A Policy says what the stage does to itself before it becomes the kernel.
type Policy struct {
	// Stage is the command that calls Main; the kernel's command is added to it.
	Stage []string `json:"stage"`
	// Parent is the process that has to be alive: the kernel dies with it.
	Parent int `json:"parent"`
	// Dir is the working directory.
	Dir string `json:"dir"`

	// User is the number of the user and the group that the process gets; 0 leaves both as they are.
	User int `json:"user,omitzero"`
	// Mounts puts the process into a file system that has only View in it.
	Mounts bool `json:"mounts,omitzero"`
	// Pids puts the process into a process namespace, in which it finds its own
	// and those that it starts; it takes Mounts. What is started is then not the
	// process itself but its init, which tells of it on ReportFD.
	Pids bool `json:"pids,omitzero"`
	// Inner says that this is the process in the namespace.
	Inner bool `json:"inner,omitzero"`
	// Landlock denies every file outside of View, whatever the mounts are.
	Landlock bool `json:"landlock,omitzero"`
	// View is what is there.
	View View `json:"view"`
	// Name is what the user is called, where the system has no name for it; Home is its home folder.
	Name string `json:"name,omitzero"`
	Home string `json:"home,omitzero"`
	// Processes is how many processes and threads User may have; 0 is any number.
	Processes int `json:"processes,omitzero"`
	// Group is the control group that the process joins. Who starts the stage makes it, and removes it in the end.
	Group *Group `json:"group,omitzero"`

	// Probe makes the stage report what it finds instead of becoming a kernel.
	Probe *Probe `json:"probe,omitzero"`
}

// policyFD is the descriptor from which the stage reads its Policy; those below are the kernel's.
const policyFD = 5

const maxPolicy = 4 << 20

func (p *Policy) check() error {
	if len(p.Stage) == 0 || p.Dir == "" || p.Parent < 1 || p.Pids && !p.Mounts {
		return errors.New("the policy is not complete")
	}
	return nil
}

// Document is what the stage reads. parent is the process that starts it.
func (p Policy) Document(parent int) ([]byte, error) {
	p.Parent = parent
	if err := p.check(); err != nil {
		return nil, err
	}
	return json.Marshal(p)
}

// Command is the kernel's command with the stage in front.
func (p Policy) Command(argv []string) []string { return slices.Concat(p.Stage, argv) }
