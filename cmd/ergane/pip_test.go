package main

import (
	"maps"
	"strings"
	"testing"
)

func TestTheCommandLineOrTheFileSaysWhoMayInstallPackages(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		config string
		args   []string
		on     bool
		groups map[string]bool
	}{
		{`{}`, nil, true, map[string]bool{}},
		{`{}`, []string{"--pip", "off", "--pip-workgroup", "a=on"}, false, map[string]bool{"a": true}},
		{`{"pip": "off", "pip-workgroup": {"a": "on", "b": "off"}}`, nil, false, map[string]bool{"a": true, "b": false}},
	} {
		got, err := parse(t, c.config, append([]string{"serve"}, c.args...)...)
		if err != nil {
			t.Errorf("%s %v: %v", c.config, c.args, err)
			continue
		}
		if p, err := got.Serve.pip(); err != nil || p.On != c.on || !maps.Equal(p.WorkGroups, c.groups) {
			t.Errorf("%s %v: %+v, %v", c.config, c.args, p, err)
		}
	}
	if _, err := parse(t, `{}`, "serve", "--pip", "maybe"); err == nil {
		t.Error("--pip maybe is taken")
	}
	if _, err := (pipFlags{Pip: "on", PipWorkgroup: map[string]string{"a": "yes"}}).pip(); err == nil || !strings.Contains(err.Error(), "--pip-workgroup a=yes") {
		t.Error(err)
	}
}
