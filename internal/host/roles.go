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

// Roles are the execution roles that an operator has configured, by ARN: the S3
// and the key that sessions with the role get instead of a key of their own. nil
// means that none are configured; then any role is accepted and has no effect.
type Roles map[string]ExternalS3

// ReadRoles reads the file of --roles: a JSON object of role ARNs, each with an
// S3 and a key for it. endpoint and region default to those of the external S3
// for results, if there is one.
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
		return nil, fmt.Errorf("--roles: other users can read %s, which holds secrets; run chmod 600 %s", path, path)
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
			return nil, fmt.Errorf("--roles: %s: access_key_id %s has two different secrets; every S3 needs a key of its own", arn, x.AccessKeyID)
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
		return errors.New("access_key_id and secret_access_key are required")
	case halfPair(x.Session):
		return errors.New("session_access_key_id and session_secret_access_key go together; set both, or neither")
	case x.Endpoint == "":
		return errors.New("endpoint is required: the embedded S3 accepts no keys except its own")
	case !strings.HasPrefix(x.Endpoint, "http://") && !strings.HasPrefix(x.Endpoint, "https://"):
		return fmt.Errorf("endpoint %q is not an http:// or https:// URL", x.Endpoint)
	}
	return nil
}

// refuse refuses a role that is not configured, if any roles are.
func (r Roles) refuse(arn string) error {
	if _, ok := r[arn]; ok || r == nil || arn == "" {
		return nil
	}
	return ergane.Errorf(ergane.CodeInvalid,
		"ExecutionRole %s is not configured on this server; its operator configures roles with serve --roles.", arn)
}

// Secret finds the role of an access key and the key's secret. Roles' keys may
// call the API; the keys of their sessions may not.
func (r Roles) Secret(accessKeyID string) (arn, secret string, ok bool) {
	for arn, x := range r {
		if x.AccessKeyID == accessKeyID {
			return arn, x.Secret, true
		}
	}
	return "", "", false
}
