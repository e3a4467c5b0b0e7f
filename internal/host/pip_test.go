package host

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/ergane-dev/ergane"
)

func TestAWorkgroupsSwitchIsStrongerThanTheServers(t *testing.T) {
	t.Parallel()
	p := Pip{On: true, WorkGroups: map[string]bool{"closed": false}}
	if p.of("closed", nil) != nil || p.of("primary", nil) == nil {
		t.Error("not as it is switched")
	}
	p = Pip{WorkGroups: map[string]bool{"open": true}}
	if p.of("open", nil) == nil || p.of("primary", nil) != nil {
		t.Error("not as it is switched")
	}
	h := New(Config{Pip: p})
	if h.facts(ergane.Session{WorkGroup: "open"}).Pip == nil || h.facts(ergane.Session{WorkGroup: "primary"}).Pip != nil {
		t.Error("the kernel is told otherwise")
	}
}

func TestSessionsHaveTheServersConfigurationOfPip(t *testing.T) {
	home := t.TempDir()
	for name, value := range map[string]string{
		"HOME": home, "XDG_CONFIG_HOME": "", "PIP_CONFIG_FILE": "",
		"PIP_INDEX_URL": "https://user:secret@index/simple", "PIP_EXTRA_INDEX_URL": "https://a\n  https://b", "PIP_NO_INDEX": "",
		"PIP_TARGET": "/elsewhere", "PIP_LOG": "/log",
	} {
		t.Setenv(name, value)
	}
	for _, name := range []string{"PIP_FIND_LINKS", "PIP_CERT", "PIP_DEFAULT_TIMEOUT", "PIP_PROXY", "PIP_RETRIES", "PIP_TIMEOUT", "PIP_TRUSTED_HOST"} {
		t.Setenv(name, "")
	}
	write := func(name, text string) string {
		file := filepath.Join(home, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o700), os.WriteFile(file, []byte(text), 0o600)); err != nil {
			t.Fatal(err)
		}
		return file
	}
	got := Pip{On: true}.of("primary", nil)
	if want := "[global]\nextra-index-url = https://a https://b\nindex-url = https://user:secret@index/simple\n"; got.Settings != want || got.Config != "" {
		t.Errorf("%+v, want the settings %q and no file", got, want)
	}
	write(".pip/pip.conf", "old")
	if got := (Pip{On: true}).of("primary", nil); got.Config != "old" {
		t.Errorf("%q", got.Config)
	}
	write(".config/pip/pip.conf", "new")
	if got := (Pip{On: true}).of("primary", nil); got.Config != "new" {
		t.Errorf("%q", got.Config)
	}
	t.Setenv("PIP_CONFIG_FILE", write("mine.conf", "named"))
	if got := (Pip{On: true}).of("primary", nil); got.Config != "named" {
		t.Errorf("%q", got.Config)
	}
}
