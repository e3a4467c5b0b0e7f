package sandbox

import "slices"

// A Layer is one way to keep user code to its session.
type Layer struct {
	Active bool   `json:"active"`
	Why    string `json:"why,omitzero"` // it is not

	passes bool // it failed of what may be over in a moment
}

// Layers are what works on this machine, for this user.
type Layers struct {
	User     Layer `json:"user"`
	Mounts   Layer `json:"mounts"`
	Landlock Layer `json:"landlock"`
	ABI      int   `json:"abi"` // the version of Landlock
	Pids     Layer `json:"pids"`
	Group    Layer `json:"group"`

	groups Groups
}

// Names are those of all layers.
var Names = []string{"user", "mounts", "landlock", "pids", "group"}

// Named is the layer with one of the Names.
func (l Layers) Named(name string) Layer {
	switch name {
	case "user":
		return l.User
	case "mounts":
		return l.Mounts
	case "landlock":
		return l.Landlock
	case "pids":
		return l.Pids
	case "group":
		return l.Group
	}
	return Layer{Why: "there is no such layer"}
}

// Active are the names of the layers that work.
func (l Layers) Active() []string { return l.pick(Names, true) }

// Missing are those of names whose layers do not work.
func (l Layers) Missing(names []string) []string { return l.pick(names, false) }

func (l Layers) pick(names []string, active bool) []string {
	return slices.DeleteFunc(slices.Clone(names), func(name string) bool { return l.Named(name).Active != active })
}

// NewGroup is a control group for a session, to be made. all is the name that
// the sessions of a server share, name that of the session. It is nil where
// there can be none.
func (l Layers) NewGroup(all, name string) *Group {
	if !l.Group.Active {
		return nil
	}
	return l.groups.group(groupPrefix+all, name)
}

// Scopes tells whether Landlock also keeps signals and abstract sockets inside.
func (l Layers) Scopes() bool { return l.Landlock.Active && l.ABI >= abiScopes }
