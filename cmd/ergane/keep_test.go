package main

import (
	"maps"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/ergane-dev/ergane/internal/datadir"
	"github.com/ergane-dev/ergane/internal/session"
	"github.com/ergane-dev/ergane/internal/testkit/olddata"
)

func TestKeepingTimesAreDaysOrDurations(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]time.Duration{
		"0": 0, "30": 30 * day, "30d": 30 * day, "0.5d": 12 * time.Hour, "12h": 12 * time.Hour, "1s": time.Second, "100000": 100000 * day,
	} {
		var got keepTime
		if err := got.UnmarshalText([]byte(text)); err != nil || time.Duration(got) != want {
			t.Errorf("%s: %v, %v; want %v", text, got, err, want)
		}
	}
	for _, text := range []string{"", "d", "-1", "-1h", "ever", "1w", "NaN", "Inf", "1e9"} {
		var got keepTime
		if err := got.UnmarshalText([]byte(text)); err == nil || !strings.Contains(err.Error(), "number of days") {
			t.Errorf("%q: %v, %v", text, got, err)
		}
	}
	for k, want := range map[keepTime]string{0: "0s", keepTime(30 * day): "30d", keepTime(36 * time.Hour): "36h0m0s"} {
		if k.String() != want {
			t.Errorf("%s, want %s", k, want)
		}
	}
}

func TestKeepingTimesOfTheCommandLineAndOfTheFile(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		config string
		args   []string
	}{
		{`{}`, []string{"--keep", "30", "--keep-workgroup", "a=12h", "--keep-workgroup", "b=0", "--expire-objects"}},
		{`{"keep": 30, "keep-workgroup": {"a": "12h", "b": 0}, "expire-objects": true}`, nil},
	} {
		got, err := parse(t, c.config, append([]string{"serve"}, c.args...)...)
		if err != nil {
			t.Errorf("%s %v: %v", c.config, c.args, err)
			continue
		}
		r := got.Serve.retention()
		if r.For != 30*day || !r.Objects || !maps.Equal(r.WorkGroups, map[string]time.Duration{"a": 12 * time.Hour, "b": 0}) {
			t.Errorf("%s %v: %+v", c.config, c.args, r)
		}
	}
	got, err := parse(t, `{}`, "serve")
	if err != nil {
		t.Fatal(err)
	}
	if r := got.Serve.retention(); r.For != 0 || r.WorkGroups != nil || r.Objects {
		t.Errorf("by default %+v", r)
	}
}

func TestObjectsExpireWithSessionsOnly(t *testing.T) {
	t.Parallel()
	if err := (keepFlags{ExpireObjects: true}).check(); err == nil || !strings.Contains(err.Error(), "--keep") {
		t.Error(err)
	}
	for _, f := range []keepFlags{{}, {ExpireObjects: true, Keep: 1}, {ExpireObjects: true, KeepWorkgroup: map[string]keepTime{"a": 1}}} {
		if err := f.check(); err != nil {
			t.Errorf("%+v: %v", f, err)
		}
	}
}

func TestDoctorShowsHowLongSessionsAreKept(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		keep session.Retention
		want string
	}{
		{session.Retention{}, "sessions are kept for ever (serve --keep)"},
		{session.Retention{For: 30 * day}, "sessions are kept for 30d after their end"},
		{session.Retention{For: time.Hour, WorkGroups: map[string]time.Duration{"b": 0, "a": day}, Objects: true},
			"sessions are kept for 1h0m0s after their end, those of a: 1d, those of b: for ever; then their objects are removed, too"},
	} {
		if got := keptFor(c.keep); got != c.want {
			t.Errorf("%q, want %q", got, c.want)
		}
	}
}

func TestDoctorShowsTheDatabase(t *testing.T) {
	t.Parallel()
	c := doctorCmd{dirs: dirs{DataDir: t.TempDir()}}
	if got := c.database(t.Context()); len(got) != 0 {
		t.Errorf("without a database: %+v", got)
	}
	c.DataDir = olddata.Folder(t)
	if err := datadir.WriteJSON(datadir.ServerFile(c.DataDir), datadir.Server{Keep: "kept"}); err != nil {
		t.Fatal(err)
	}
	got := c.database(t.Context())
	if len(got) != 1 || !got[0].OK || !strings.Contains(got[0].Detail, " kB; 0 calculations of 0 sessions; kept; the file does not shrink") {
		t.Errorf("of an old one: %+v", got)
	}
	if err := os.WriteFile(datadir.Database(c.DataDir), []byte("no database at all, and much too short"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got = c.database(t.Context()); len(got) != 1 || got[0].OK || !strings.Contains(got[0].Detail, "damaged") {
		t.Errorf("of a damaged one: %+v", got)
	}
}
