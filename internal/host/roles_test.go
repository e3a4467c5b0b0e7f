package host

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ergane-dev/ergane"
	"github.com/ergane-dev/ergane/internal/credentials"
)

const analysts = "arn:aws:iam::000000000000:role/analysts"

func rolesFile(t *testing.T, text string, mode os.FileMode) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "roles.json")
	if err := os.WriteFile(path, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestRolesAreReadWithTheStoresDefaults(t *testing.T) {
	t.Parallel()
	path := rolesFile(t, `{"`+analysts+`": {"access_key_id": "A", "secret_access_key": "S"},
		"arn:aws:iam::1:role/x": {"endpoint": "https://s3", "region": "eu-1", "access_key_id": "B", "secret_access_key": "T",
			"session_access_key_id": "C", "session_secret_access_key": "U"}}`, 0o600)
	got, err := ReadRoles(path, ExternalS3{Endpoint: "http://store", Region: "r", AccessKeyID: "K", Secret: "L"})
	want := Roles{analysts: {Endpoint: "http://store", Region: "r", AccessKeyID: "A", Secret: "S"}, "arn:aws:iam::1:role/x": {Endpoint: "https://s3", Region: "eu-1", AccessKeyID: "B", Secret: "T", Session: credentials.Key{AccessKeyID: "C", Secret: "U"}}}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	if arn, secret, ok := got.Secret("B"); arn != "arn:aws:iam::1:role/x" || secret != "T" || !ok {
		t.Errorf("secret %q of %q, %v", secret, arn, ok)
	}
	for _, id := range []string{"K", "C"} {
		if _, _, ok := got.Secret(id); ok {
			t.Errorf("%s, which is no role's key, has a secret", id)
		}
	}
}

func TestRolesThatCannotWorkAreRefusedAtStart(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		text string
		mode os.FileMode
		want string
	}{
		{`{}`, 0o644, "chmod 600"},
		{`[]`, 0o600, "not a JSON object"},
		{`{"` + analysts + `": {"secret": "x"}}`, 0o600, `unknown field "secret"`},
		{`{"analysts": {"endpoint": "http://x", "access_key_id": "A", "secret_access_key": "S"}}`, 0o600, "not the ARN of a role"},
		{`{"` + analysts + `": {"endpoint": "http://x", "access_key_id": "A"}}`, 0o600, "secret_access_key are required"},
		{`{"` + analysts + `": {"access_key_id": "A", "secret_access_key": "S"}}`, 0o600, "endpoint is required"},
		{`{"` + analysts + `": {"endpoint": "http://a", "access_key_id": "A", "secret_access_key": "S", "session_access_key_id": "B"}}`, 0o600, "go together"},
		{`{"` + analysts + `": {"endpoint": "http://a", "access_key_id": "A", "secret_access_key": "S", "session_access_key_id": "A", "session_secret_access_key": "S"}}`, 0o600, "session_access_key_id A is a key that may call"},
		{`{} x`, 0o600, "has text after the JSON object"},
		{`{"` + analysts + `": {"endpoint": "http://a", "access_key_id": "A", "secret_access_key": "S"}, "arn:b": {"endpoint": "http://b", "access_key_id": "A", "secret_access_key": "T"}}`, 0o600, "has two different secrets"},
		{`{"` + analysts + `": {"endpoint": "s3", "access_key_id": "A", "secret_access_key": "S"}}`, 0o600, "not an http:// or https:// URL"},
	} {
		_, err := ReadRoles(rolesFile(t, c.text, c.mode), ExternalS3{})
		if err == nil || !strings.HasPrefix(err.Error(), "--roles: ") || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.text, err, c.want)
		}
	}
}

func TestOnlyConfiguredRolesAreTakenWhereThereAreAny(t *testing.T) {
	t.Parallel()
	some := Roles{analysts: {}}
	for _, c := range []struct {
		of   Roles
		arn  string
		want bool
	}{{nil, "arn:any", true}, {some, "", true}, {some, analysts, true}, {some, "arn:any", false}, {Roles{}, analysts, false}} {
		err := c.of.refuse(c.arn)
		if (err == nil) != c.want || err != nil && ergane.CodeOf(err) != ergane.CodeInvalid {
			t.Errorf("%v takes %q: %v", c.of, c.arn, err)
		}
	}
}
