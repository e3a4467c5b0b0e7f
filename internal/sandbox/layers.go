package sandbox

import "slices"

// A Layer is one way to isolate the code of a session, and whether it works.
type Layer struct {
	Active bool   `json:"active"`
	Why    string `json:"why,omitzero"` // why it is not active

	transient bool // the failure may be over in a moment
}

// Layers are the layers as they work on this machine, for this user.
type Layers struct {
	User     Layer `json:"user"`
	Mounts   Layer `json:"mounts"`
	Landlock Layer `json:"landlock"`
	ABI      int   `json:"abi"` // the version of Landlock
	Pids     Layer `json:"pids"`
	Group    Layer `json:"group"`

	groups Groups
}

// Names are the names of all layers.
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

// Missing returns those of the names whose layers do not work.
func (l Layers) Missing(names []string) []string { return l.pick(names, false) }

func (l Layers) pick(names []string, active bool) []string {
	return slices.DeleteFunc(slices.Clone(names), func(name string) bool { return l.Named(name).Active != active })
}

// NewGroup describes a control group for a session; Group.Make makes it. all is a
// name for all sessions of the server, name one for this session. It is nil if no
// groups can be made.
func (l Layers) NewGroup(all, name string) *Group {
	if !l.Group.Active {
		return nil
	}
	return l.groups.group(groupPrefix+all, name)
}

// Scopes reports whether Landlock also denies signals and abstract sockets to the outside.
func (l Layers) Scopes() bool { return l.Landlock.Active && l.ABI >= abiScopes }
