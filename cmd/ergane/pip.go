package main

import (
	"fmt"

	"github.com/ergane-dev/ergane/internal/host"
)

// pipFlags say whose code may install Python packages for its session.
type pipFlags struct {
	Pip          string            `help:"Whether code may install Python packages for its session with %pip: on or off." default:"on" enum:"on,off" env:"ERGANE_PIP" placeholder:"on|off"`
	PipWorkgroup map[string]string `help:"The same for the sessions of a workgroup: NAME=on or NAME=off; may be repeated." env:"ERGANE_PIP_WORKGROUP" placeholder:"NAME=on|off"`
}

func (f pipFlags) pip() (host.Pip, error) {
	p := host.Pip{On: f.Pip == "on", WorkGroups: map[string]bool{}}
	for name, value := range f.PipWorkgroup {
		if value != "on" && value != "off" {
			return p, fmt.Errorf("--pip-workgroup %s=%s is neither on nor off", name, value)
		}
		p.WorkGroups[name] = value == "on"
	}
	return p, nil
}
