package main

import (
	"context"
	"log/slog"
	"strings"
	"testing"

	"github.com/ergane-dev/ergane/internal/credentials"
	"github.com/ergane-dev/ergane/internal/datadir"
	"github.com/ergane-dev/ergane/internal/host"
	"github.com/ergane-dev/ergane/internal/server"
)

// both is a store with a pair for the server and one for sessions.
func both(server, session string) host.ExternalS3 {
	return host.ExternalS3{Endpoint: "http://store", Region: "r", AccessKeyID: server, Secret: "S", Session: credentials.Key{AccessKeyID: session, Secret: "T"}}
}

const analysts = "arn:aws:iam::000000000000:role/analysts"

func TestServeAndDoctorWarnOfSessionKeysThatAreTooPowerful(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		cfg  server.Config
		want []string
	}{
		"embedded": {server.Config{}, nil},
		"apart":    {server.Config{Results: "s3://b", External: both("A", "B"), Roles: host.Roles{analysts: both("C", "D")}}, nil},
		"shared":   {server.Config{Results: "s3://b", External: both("A", "")}, []string{"ERGANE_S3_SESSION_ACCESS_KEY_ID"}},
		"role":     {server.Config{Roles: host.Roles{analysts: both("C", "")}}, []string{"session_access_key_id"}},
		"both": {server.Config{Results: "s3://b", External: both("A", ""), Roles: host.Roles{analysts: both("C", "")}},
			[]string{"ERGANE_S3_SESSION_ACCESS_KEY_ID", "session_access_key_id"}},
	} {
		cfg := c.cfg
		cfg.DataDir, cfg.Listen = t.TempDir(), "no address" // Open fails there
		var log strings.Builder
		if srv, err := server.Open(context.Background(), cfg, slog.New(slog.NewTextHandler(&log, nil))); err == nil {
			srv.Close()
			t.Fatal("a server without an address started")
		}
		var results *host.ExternalS3
		if cfg.Results != "" {
			results = &cfg.External
		}
		wide := host.WideKeys(results, cfg.Roles)
		var told []finding
		for _, f := range sessionKeys(datadir.Server{ExternalS3: cfg.Results != "", WideKeys: wide}) {
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
