package main

import (
	"strings"
	"testing"

	"github.com/ergane-dev/ergane/internal/credentials"
)

func TestAClusterThatSessionsCannotUseIsRefusedAtTheStart(t *testing.T) {
	t.Setenv("ERGANE_MASTER_SECRET", "")
	for master, want := range map[string]string{
		"mesos://host:5050": "--master: \"mesos://host:5050\" is not a master of Spark",
		"spark://host:7077": "ERGANE_MASTER_SECRET",
	} {
		cmd := serveCmd{Listen: "127.0.0.1:0", S3Listen: "127.0.0.1:0", Master: master}
		if _, err := cmd.config(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", master, err, want)
		}
	}
}

func TestOnlyAStandaloneClustersSecretIsTheOperators(t *testing.T) {
	t.Setenv("ERGANE_MASTER_SECRET", "shared")
	keys, err := credentials.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	secret := func(master, session string) string {
		c, err := openCluster(master)
		if err != nil {
			t.Fatal(err)
		}
		return c.secretOf(keys, session)
	}
	if got := secret("spark://host:7077", "a"); got != "shared" {
		t.Errorf("a standalone cluster's is %q", got)
	}
	ours := secret("local-cluster[2,1,1024]", "a")
	if len(ours) != 64 || ours == secret("local-cluster[2,1,1024]", "b") || ours != secret("yarn", "a") {
		t.Errorf("a session's own is %q", ours)
	}
}
