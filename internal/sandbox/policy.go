// Package sandbox isolates the processes of a session: what they can read and
// write, which processes they can reach, and as which user they run.
//
// Its layers are independent of each other; which of them work depends on the
// system: a user of its own, a file system of its own (a mount namespace),
// Landlock, a process namespace, and a control group. Detect finds out by trying.
// Main applies them: it is a stage between the shim and the kernel that executes
// the kernel in its own place, so that the shim waits for the process that runs
// the code.
package sandbox

import (
	"encoding/json"
	"errors"
	"slices"
)

// A Policy says what the stage applies to itself before it executes the kernel.
type Policy struct {
	// Stage is the command that calls Main; the kernel's command is added to it.
	Stage []string `json:"stage"`
	// Parent is the PID of the process with which the kernel is to end.
	Parent int `json:"parent"`
	// Dir is the working directory.
	Dir string `json:"dir"`

	// User is the number of the user and the group that the process gets; 0 leaves both as they are.
	User int `json:"user,omitzero"`
	// Mounts puts the process into a file system that has only View in it.
	Mounts bool `json:"mounts,omitzero"`
	// Pids puts the process into a process namespace, in which it sees only itself
	// and its descendants; it needs Mounts. The process that is started is then the
	// namespace's init, which reports on the kernel to ReportFD.
	Pids bool `json:"pids,omitzero"`
	// Inner says that this is the process in the namespace.
	Inner bool `json:"inner,omitzero"`
	// Landlock denies every file outside of View, whatever the mounts are.
	Landlock bool `json:"landlock,omitzero"`
	// View is what the process can see of the file system.
	View View `json:"view"`
	// Name is the user's name, if the system has none for it; Home is its home folder.
	Name string `json:"name,omitzero"`
	Home string `json:"home,omitzero"`
	// Processes is how many processes and threads User may have; 0 is no limit.
	Processes int `json:"processes,omitzero"`
	// Group is the control group that the process joins. The starter of the stage makes and removes it.
	Group *Group `json:"group,omitzero"`

	// Probe makes the stage report what it can do instead of executing a kernel.
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
