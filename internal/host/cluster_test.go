package host

import (
	"testing"

	"github.com/ergane-dev/ergane/internal/credentials"
)

func TestOnlyAStandaloneClustersSecretIsTheOperators(t *testing.T) {
	t.Parallel()
	keys, err := credentials.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	secret := func(master, session string) string {
		c, err := OpenCluster(master, "shared")
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
