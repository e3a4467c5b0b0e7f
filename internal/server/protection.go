package server

import (
	"github.com/ergane-dev/ergane/internal/host"
	"github.com/ergane-dev/ergane/internal/sandbox"
)

// A Protection is what /readyz says about the sandbox: a server serves even if a
// layer is missing, but nobody should have to read its log to learn that.
type Protection struct {
	Asked  string            `json:"asked"` // --sandbox
	Layers map[string]string `json:"layers"`
	Less   bool              `json:"less_than_could_be,omitempty"`
}

// protection returns which layers the sessions of the server have.
func (s *Server) protection() Protection {
	return protectionBy(s.cfg.Sandbox.Sandbox, s.layers())
}

func protectionBy(asked string, layers map[string]sandbox.Layer) Protection {
	p := Protection{Asked: asked, Layers: map[string]string{}}
	for name, l := range layers {
		p.Layers[name] = host.DescribeLayer(l)
		p.Less = p.Less || !l.Active
	}
	return p
}

// layers are all layers by their names, also with --sandbox off.
func (s *Server) layers() map[string]sandbox.Layer {
	if s.confiner == nil {
		return layersOf(nil)
	}
	known := s.confiner.Known()
	return layersOf(&known)
}

// layersOf are layers by their names; nil are those of --sandbox off.
func layersOf(known *sandbox.Layers) map[string]sandbox.Layer {
	all := map[string]sandbox.Layer{}
	for _, name := range sandbox.Names {
		if known == nil {
			all[name] = sandbox.Layer{Why: "--sandbox off"}
		} else {
			all[name] = known.Named(name)
		}
	}
	return all
}

// layersActive is for the metrics.
func (s *Server) layersActive() map[string]bool {
	active := map[string]bool{}
	for name, l := range s.layers() {
		active[name] = l.Active
	}
	return active
}
