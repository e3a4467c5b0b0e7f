package main

import (
	"testing"

	"github.com/ergane-dev/ergane/internal/host"
	"github.com/ergane-dev/ergane/internal/server"
)

func TestDoctorShowsTheLayersThatTheServersSessionsLack(t *testing.T) {
	t.Parallel()
	p := server.Protection{Asked: "auto", Less: true, Layers: map[string]string{"user": host.LayerActive, "mounts": host.LayerActive, "landlock": host.LayerActive, "pids": host.LayerActive, "group": "no group today"}}
	if f := protectionFinding(p); f.OK || f.Detail != "its sessions lack group: no group today; they have user, mounts, landlock, pids" {
		t.Errorf("%+v", f)
	}
	p.Less = false
	if f := protectionFinding(p); !f.OK {
		t.Errorf("%+v", f)
	}
}
