package main

import (
	"strings"

	"github.com/ergane-dev/ergane/internal/sandbox"
)

// A protection is what /readyz tells of the sandbox: a server without a layer
// serves, but nobody should have to read its log to learn that.
type protection struct {
	Asked  string            `json:"asked"` // --sandbox
	Layers map[string]string `json:"layers"`
	Less   bool              `json:"less_than_could_be,omitempty"`
}

// layerActive is the word of a layer that works; else there is the reason.
const layerActive = "active"

// protection tells which layers the sessions of the server have.
func (s *server) protection() protection {
	p := protection{Asked: s.cfg.Sandbox.Sandbox, Layers: map[string]string{}}
	for name, l := range s.layers() {
		p.Layers[name] = describeLayer(l)
		p.Less = p.Less || !l.Active
	}
	return p
}

// layers are all layers by their names, also where none is wanted.
func (s *server) layers() map[string]sandbox.Layer {
	known := sandbox.Layers{}
	all := map[string]sandbox.Layer{}
	if s.confiner != nil {
		known = s.confiner.known()
	}
	for _, name := range sandbox.Names {
		all[name] = known.Named(name)
		if s.confiner == nil {
			all[name] = sandbox.Layer{Why: "--sandbox off"}
		}
	}
	return all
}

// layersActive is for the metrics.
func (s *server) layersActive() map[string]bool {
	active := map[string]bool{}
	for name, l := range s.layers() {
		active[name] = l.Active
	}
	return active
}

// finding is what doctor says of the sandbox of a server that runs.
func (p protection) finding() finding {
	f := finding{Name: "server's sandbox", OK: !p.Less, Detail: "its sessions have every layer"}
	if f.OK {
		return f
	}
	var with, without []string
	for _, name := range sandbox.Names {
		if why := p.Layers[name]; why == layerActive {
			with = append(with, name)
		} else {
			without = append(without, name+": "+why)
		}
	}
	f.Detail = "its sessions are without " + strings.Join(without, "; ")
	if len(with) > 0 {
		f.Detail += "; they have " + strings.Join(with, ", ")
	}
	f.Advice = "see the layers below for what each takes, then restart the server"
	return f
}
