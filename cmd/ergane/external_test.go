package main

import (
	"context"
	"log/slog"
	"strings"
	"testing"

	"github.com/ergane-dev/ergane"
	"github.com/ergane-dev/ergane/internal/awsjson"
	"github.com/ergane-dev/ergane/internal/credentials"
)

// both is a store with a pair for the server and one for sessions.
func both(server, session string) externalS3 {
	return externalS3{Endpoint: "http://store", Region: "r", AccessKeyID: server, Secret: "S", Session: credentials.Key{AccessKeyID: session, Secret: "T"}}
}

func TestSessionsOfAnExternalStoreHaveAPairThatTheAPIDoesNotTake(t *testing.T) {
	t.Parallel()
	cfg := serverConfig{Results: "s3://b", External: both("SERVER", "SESSION"), Roles: roles{analysts: both("ROLE", "ROLESESSION")}}
	keys, err := credentials.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	h := &host{keys: keys, external: &cfg.External, roles: cfg.Roles, info: func() serverInfo { return serverInfo{} }}
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
	find := (&server{cfg: cfg}).callers(keys)
	for id, want := range map[string]error{"SERVER": nil, "ROLE": nil, keys.Root().AccessKeyID: nil, "SESSION": awsjson.ErrUnknownKey, "ROLESESSION": awsjson.ErrUnknownKey} {
		if _, err := find(id); err != want {
			t.Errorf("%s: %v, want %v", id, err, want)
		}
	}
}

func TestASessionPairThatIsNotItsOwnIsRefused(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		results externalS3
		all     roles
		want    string
	}{
		"good":               {both("A", "B"), roles{analysts: both("C", "D")}, ""},
		"none":               {externalS3{}, roles{analysts: {AccessKeyID: "C"}}, ""},
		"shared by sessions": {both("A", "B"), roles{analysts: both("C", "B")}, ""},
		"the server's":       {both("A", "A"), nil, "ERGANE_S3_SESSION_ACCESS_KEY_ID A"},
		"a role's":           {both("A", "C"), roles{analysts: both("C", "D")}, "ERGANE_S3_SESSION_ACCESS_KEY_ID C"},
		"root's":             {both("A", "ROOT"), nil, "ERGANE_S3_SESSION_ACCESS_KEY_ID ROOT"},
		"the server's, role": {both("A", "B"), roles{analysts: both("C", "A")}, "--roles: " + analysts},
		"another role's":     {externalS3{}, roles{analysts: both("C", "D"), "arn:b": both("E", "C")}, "--roles: arn:b"},
		"root's, role":       {externalS3{}, roles{analysts: both("C", "ROOT")}, "session_access_key_id ROOT"},
	} {
		err := checkSessionKeys(c.results, c.all, "ROOT")
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}

func TestTheSessionPairIsReadFromTheEnvironment(t *testing.T) {
	t.Setenv("ERGANE_S3_ENDPOINT", "http://store")
	t.Setenv("ERGANE_S3_ACCESS_KEY_ID", "A")
	t.Setenv("ERGANE_S3_SECRET_ACCESS_KEY", "S")
	for _, c := range []struct{ id, secret, want string }{{"", "", ""}, {"B", "T", ""}, {"B", "", "go together"}, {"", "T", "go together"}, {"A", "S", "may call the whole API"}} {
		t.Setenv("ERGANE_S3_SESSION_ACCESS_KEY_ID", c.id)
		t.Setenv("ERGANE_S3_SESSION_SECRET_ACCESS_KEY", c.secret)
		x, err := externalFromEnv()
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: %v", c, err)
		}
		if err == nil && x.Session != (credentials.Key{AccessKeyID: c.id, Secret: c.secret}) {
			t.Errorf("%+v: %+v", c, x.Session)
		}
	}
}

func TestServeAndDoctorTellOfSessionsThatHoldAWideKey(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		cfg  serverConfig
		want []string
	}{
		"embedded": {serverConfig{}, nil},
		"apart":    {serverConfig{Results: "s3://b", External: both("A", "B"), Roles: roles{analysts: both("C", "D")}}, nil},
		"shared":   {serverConfig{Results: "s3://b", External: both("A", "")}, []string{"ERGANE_S3_SESSION_ACCESS_KEY_ID"}},
		"role":     {serverConfig{Roles: roles{analysts: both("C", "")}}, []string{"session_access_key_id"}},
		"both": {serverConfig{Results: "s3://b", External: both("A", ""), Roles: roles{analysts: both("C", "")}},
			[]string{"ERGANE_S3_SESSION_ACCESS_KEY_ID", "session_access_key_id"}},
	} {
		cfg := c.cfg
		cfg.DataDir, cfg.Listen = t.TempDir(), "no address" // it goes no further than that
		var log strings.Builder
		if srv, err := openServer(context.Background(), cfg, slog.New(slog.NewTextHandler(&log, nil))); err == nil {
			srv.close()
			t.Fatal("a server without an address started")
		}
		var told []finding
		for _, f := range sessionKeys(serverInfo{ExternalS3: cfg.Results != "", WideKeys: cfg.wideKeys()}) {
			if !f.OK {
				told = append(told, f)
			}
		}
		if len(told) != len(c.want) || strings.Count(log.String(), "level=WARN") != len(c.want) {
			t.Errorf("%s: doctor tells %+v, serve %s", name, told, log.String())
			continue
		}
		for i, want := range c.want {
			if !strings.Contains(told[i].Advice, want) || !strings.Contains(log.String(), want) {
				t.Errorf("%s: doctor tells %+v, serve %s", name, told, log.String())
			}
		}
	}
}
