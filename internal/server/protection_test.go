package server

import (
	"testing"

	"github.com/ergane-dev/ergane/internal/host"
	"github.com/ergane-dev/ergane/internal/sandbox"
)

func TestProtectionSaysWhichLayersAreActiveAndWhyOthersAreMissing(t *testing.T) {
	t.Parallel()
	active := sandbox.Layer{Active: true}
	some := sandbox.Layers{User: active, Mounts: active, Landlock: active, Pids: active, Group: sandbox.Layer{Why: "no group today"}}
	p := protectionBy("auto", layersOf(&some))
	if !p.Less || p.Layers["user"] != host.LayerActive || p.Layers["group"] != "no group today" {
		t.Errorf("%+v", p)
	}
	some.Group = active
	if p := protectionBy("auto", layersOf(&some)); p.Less {
		t.Errorf("%+v", p)
	}
	if active := new(Server).layersActive(); active["user"] || len(active) != len(sandbox.Names) {
		t.Errorf("with none: %v", active)
	}
}
