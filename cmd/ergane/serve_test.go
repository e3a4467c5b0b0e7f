package main

import (
	"strings"
	"testing"
)

func TestAClusterThatSessionsCannotUseIsRefusedAtTheStart(t *testing.T) {
	t.Setenv("ERGANE_MASTER_SECRET", "")
	for master, want := range map[string]string{
		"mesos://host:5050": "--master: \"mesos://host:5050\" is not a Spark master",
		"spark://host:7077": "ERGANE_MASTER_SECRET",
	} {
		cmd := serveCmd{Listen: "127.0.0.1:0", S3Listen: "127.0.0.1:0", Master: master}
		if _, err := cmd.config(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", master, err, want)
		}
	}
}
