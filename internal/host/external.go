package host

import (
	"errors"
	"fmt"
	"slices"

	"github.com/ergane-dev/ergane/internal/credentials"
	"github.com/ergane-dev/ergane/internal/datadir"
	"github.com/ergane-dev/ergane/internal/engine"
)

// ExternalS3 is an S3 that Ergane does not run. AWS clients use one key pair for
// all services, so its pair may also call the API.
type ExternalS3 struct {
	Endpoint, Region, AccessKeyID, Secret string
	// Session is the pair that sessions get instead of the other one; it may not
	// call the API. Empty: they get the other one.
	Session credentials.Key
}

// OpenExternal checks the values of ERGANE_S3_*, and adds the default region.
func OpenExternal(x ExternalS3) (ExternalS3, error) {
	if x.Region == "" {
		x.Region = datadir.Region
	}
	if x.Endpoint == "" || x.AccessKeyID == "" || x.Secret == "" {
		return x, errors.New("an external S3 for results needs ERGANE_S3_ENDPOINT, ERGANE_S3_ACCESS_KEY_ID and ERGANE_S3_SECRET_ACCESS_KEY")
	}
	if halfPair(x.Session) {
		return x, errors.New("ERGANE_S3_SESSION_ACCESS_KEY_ID and ERGANE_S3_SESSION_SECRET_ACCESS_KEY go together; set both, or neither")
	}
	return x, CheckSessionKeys(x, nil, "")
}

// halfPair reports whether a pair has only one of its halves.
func halfPair(k credentials.Key) bool { return (k.AccessKeyID == "") != (k.Secret == "") }

// CheckSessionKeys refuses a pair for sessions that may call the whole API: the
// root key, the server's, or a role's. root is empty if it is not known.
func CheckSessionKeys(results ExternalS3, all Roles, root string) error {
	good := map[string]bool{results.AccessKeyID: true, root: true}
	for _, x := range all {
		good[x.AccessKeyID] = true
	}
	if id := results.Session.AccessKeyID; id != "" && good[id] {
		return fmt.Errorf("ERGANE_S3_SESSION_ACCESS_KEY_ID %s is a key that may call the whole API; sessions need another one", id)
	}
	for arn, x := range all {
		if id := x.Session.AccessKeyID; id != "" && good[id] {
			return fmt.Errorf("--roles: %s: session_access_key_id %s is a key that may call the whole API; sessions need another one", arn, id)
		}
	}
	return nil
}

// inSession is the S3 with the pair that sessions get.
func (x ExternalS3) inSession() engine.S3 {
	s3 := x.engine()
	if x.Session.AccessKeyID != "" {
		s3.AccessKeyID, s3.Secret = x.Session.AccessKeyID, x.Session.Secret
	}
	return s3
}

// engine is the S3 with the server's pair.
func (x ExternalS3) engine() engine.S3 {
	return engine.S3{Endpoint: x.Endpoint, Region: x.Region, AccessKeyID: x.AccessKeyID, Secret: x.Secret}
}

// WideKeys says which sessions get a key that may call the whole API, because
// their external S3 has no pair for sessions. results is nil with the embedded S3.
func WideKeys(results *ExternalS3, all Roles) (w datadir.WideKeys) {
	w.Results = results != nil && results.Session.AccessKeyID == ""
	for arn, x := range all {
		if x.Session.AccessKeyID == "" {
			w.Roles = append(w.Roles, arn)
		}
	}
	slices.Sort(w.Roles)
	return w
}

// Key is the pair that clients use.
func (x ExternalS3) Key() credentials.Key {
	return credentials.Key{AccessKeyID: x.AccessKeyID, Secret: x.Secret}
}
