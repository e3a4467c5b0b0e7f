package host

import (
	"strings"
	"testing"

	"github.com/ergane-dev/ergane"
	"github.com/ergane-dev/ergane/internal/credentials"
	"github.com/ergane-dev/ergane/internal/datadir"
)

// both is a store with a pair for the server and one for sessions.
func both(server, session string) ExternalS3 {
	return ExternalS3{Endpoint: "http://store", Region: "r", AccessKeyID: server, Secret: "S", Session: credentials.Key{AccessKeyID: session, Secret: "T"}}
}

func TestSessionsOfAnExternalStoreHaveThePairOfTheirOwn(t *testing.T) {
	t.Parallel()
	external := both("SERVER", "SESSION")
	keys, err := credentials.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	h := New(Config{Keys: keys, External: &external, Roles: Roles{analysts: both("ROLE", "ROLESESSION")}, Server: func() datadir.Server { return datadir.Server{} }})
	for role, want := range map[string]string{"": "SESSION", analysts: "ROLESESSION"} {
		s := ergane.Session{ExecutionRole: role}
		if got := h.s3(s); got.AccessKeyID != want || got.Secret != "T" || got.Endpoint != "http://store" || got.Region != "r" {
			t.Errorf("a session of %q has %+v", role, got)
		}
		if got := h.environment(s)["AWS_ACCESS_KEY_ID"]; got != want {
			t.Errorf("the environment of %q has %s", role, got)
		}
	}
	if got := h.metastoreS3().AccessKeyID; got != "SERVER" {
		t.Errorf("the catalog has %s", got)
	}
}

func TestASessionPairThatIsNotItsOwnIsRefused(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		results ExternalS3
		all     Roles
		want    string
	}{
		"good":               {both("A", "B"), Roles{analysts: both("C", "D")}, ""},
		"none":               {ExternalS3{}, Roles{analysts: {AccessKeyID: "C"}}, ""},
		"shared by sessions": {both("A", "B"), Roles{analysts: both("C", "B")}, ""},
		"the server's":       {both("A", "A"), nil, "ERGANE_S3_SESSION_ACCESS_KEY_ID A"},
		"a role's":           {both("A", "C"), Roles{analysts: both("C", "D")}, "ERGANE_S3_SESSION_ACCESS_KEY_ID C"},
		"root's":             {both("A", "ROOT"), nil, "ERGANE_S3_SESSION_ACCESS_KEY_ID ROOT"},
		"the server's, role": {both("A", "B"), Roles{analysts: both("C", "A")}, "--roles: " + analysts},
		"another role's":     {ExternalS3{}, Roles{analysts: both("C", "D"), "arn:b": both("E", "C")}, "--roles: arn:b"},
		"root's, role":       {ExternalS3{}, Roles{analysts: both("C", "ROOT")}, "session_access_key_id ROOT"},
	} {
		err := CheckSessionKeys(c.results, c.all, "ROOT")
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}

func TestASessionPairIsWholeAndNotTheServers(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ id, secret, want string }{{"", "", ""}, {"B", "T", ""}, {"B", "", "go together"}, {"", "T", "go together"}, {"A", "S", "may call the whole API"}} {
		pair := credentials.Key{AccessKeyID: c.id, Secret: c.secret}
		x, err := OpenExternal(ExternalS3{Endpoint: "http://store", AccessKeyID: "A", Secret: "S", Session: pair})
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: %v", c, err)
		}
		if err == nil && x.Session != pair {
			t.Errorf("%+v: %+v", c, x.Session)
		}
	}
}
