package host

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/ergane-dev/ergane"
	"github.com/ergane-dev/ergane/internal/credentials"
	"github.com/ergane-dev/ergane/internal/datadir"
)

// Roles are the execution roles that an operator has configured: what a
// session of each has in place of a key of its own. They are nil where none
// are configured; roles are names without an effect then.
type Roles map[string]ExternalS3

// ReadRoles reads the file of --roles: a JSON object of role ARNs, each with
// an S3 and a key for it. endpoint and region default to those of the store
// for results, if that is external.
func ReadRoles(path string, results ExternalS3) (Roles, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("--roles: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("--roles: %w", err)
	}
	if info.Mode().Perm()&0o077 != 0 {
		return nil, fmt.Errorf("--roles: others can read %s, which holds secrets; make it yours alone: chmod 600 %s", path, path)
	}
	var entries map[string]struct {
		Endpoint    string `json:"endpoint"`
		Region      string `json:"region"`
		AccessKeyID string `json:"access_key_id"`
		Secret      string `json:"secret_access_key"`
		SessionID   string `json:"session_access_key_id"`
		SessionKey  string `json:"session_secret_access_key"`
	}
	in := json.NewDecoder(f)
	in.DisallowUnknownFields()
	if err := in.Decode(&entries); err != nil {
		return nil, fmt.Errorf("--roles: %s is not a JSON object of role ARNs with endpoint, region, access_key_id and secret_access_key: %w", path, err)
	}
	if _, err := in.Token(); err != io.EOF {
		return nil, fmt.Errorf("--roles: %s has text after the JSON object", path)
	}
	all := Roles{}
	secrets := map[string]string{results.AccessKeyID: results.Secret}
	for arn, e := range entries {
		x := ExternalS3{Endpoint: e.Endpoint, Region: e.Region, AccessKeyID: e.AccessKeyID, Secret: e.Secret,
			Session: credentials.Key{AccessKeyID: e.SessionID, Secret: e.SessionKey}}
		if x.Endpoint == "" {
			x.Endpoint = results.Endpoint
		}
		if x.Region == "" {
			x.Region = results.Region
		}
		if x.Region == "" {
			x.Region = datadir.Region
		}
		if err := x.check(arn); err != nil {
			return nil, fmt.Errorf("--roles: %s: %w", arn, err)
		}
		// Calls of the API are told apart by the key's id alone.
		if secret, known := secrets[x.AccessKeyID]; known && secret != x.Secret {
			return nil, fmt.Errorf("--roles: %s: access_key_id %s has another secret elsewhere; every store needs a key of its own", arn, x.AccessKeyID)
		}
		secrets[x.AccessKeyID] = x.Secret
		all[arn] = x
	}
	return all, CheckSessionKeys(results, all, "")
}

func (x ExternalS3) check(arn string) error {
	switch {
	case !strings.HasPrefix(arn, "arn:"):
		return errors.New("not the ARN of a role, for instance arn:aws:iam::000000000000:role/analysts")
	case x.AccessKeyID == "" || x.Secret == "":
		return errors.New("access_key_id and secret_access_key are needed")
	case halfPair(x.Session):
		return errors.New("session_access_key_id and session_secret_access_key go together; set both, or neither")
	case x.Endpoint == "":
		return errors.New("endpoint is needed: the embedded store knows no keys but its own")
	case !strings.HasPrefix(x.Endpoint, "http://") && !strings.HasPrefix(x.Endpoint, "https://"):
		return fmt.Errorf("endpoint %q is not an http:// or https:// URL", x.Endpoint)
	}
	return nil
}

// refuse refuses a role that is not configured where roles are.
func (r Roles) refuse(arn string) error {
	if _, ok := r[arn]; ok || r == nil || arn == "" {
		return nil
	}
	return ergane.Errorf(ergane.CodeInvalid,
		"ExecutionRole %s is not configured on this server; its operator names the roles that are with serve --roles.", arn)
}

// Secret finds the role that a key is of, and the key's secret. It is good for
// the API; the pair of the role's sessions is not.
func (r Roles) Secret(accessKeyID string) (arn, secret string, ok bool) {
	for arn, x := range r {
		if x.AccessKeyID == accessKeyID {
			return arn, x.Secret, true
		}
	}
	return "", "", false
}
