package server

import (
	"testing"

	"github.com/ergane-dev/ergane/internal/awsjson"
	"github.com/ergane-dev/ergane/internal/credentials"
	"github.com/ergane-dev/ergane/internal/host"
)

// both is a store with a pair for the server and one for sessions.
func both(server, session string) host.ExternalS3 {
	return host.ExternalS3{Endpoint: "http://store", Region: "r", AccessKeyID: server, Secret: "S", Session: credentials.Key{AccessKeyID: session, Secret: "T"}}
}

const analysts = "arn:aws:iam::000000000000:role/analysts"

func TestTheAPITakesNoPairOfSessions(t *testing.T) {
	t.Parallel()
	cfg := Config{Results: "s3://b", External: both("SERVER", "SESSION"), Roles: host.Roles{analysts: both("ROLE", "ROLESESSION")}}
	keys, err := credentials.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	find := (&Server{cfg: cfg}).callers(keys)
	for id, want := range map[string]error{"SERVER": nil, "ROLE": nil, keys.Root().AccessKeyID: nil, "SESSION": awsjson.ErrUnknownKey, "ROLESESSION": awsjson.ErrUnknownKey} {
		if _, err := find(id); err != want {
			t.Errorf("%s: %v, want %v", id, err, want)
		}
	}
}
