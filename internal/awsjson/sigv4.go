package awsjson

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"
)

const (
	algorithm  = "AWS4-HMAC-SHA256"
	terminator = "aws4_request"
	timeLayout = "20060102T150405Z"

	// maxSkew is how far a client's clock may differ.
	maxSkew = 5 * time.Minute
	// maxExpires is how long a presigned request may be valid.
	maxExpires = 7 * 24 * time.Hour
	// maxDerivedKeys bounds the cache of signing keys; a full cache is emptied.
	maxDerivedKeys = 1024
)

// KeyLookup returns an access key. The error is ErrUnknownKey if it does not
// exist, and another *Error if it must not be used here.
type KeyLookup func(accessKeyID string) (Key, error)

// ErrUnknownKey refuses a request that is signed with a key that does not exist.
var ErrUnknownKey = &Error{Type: "UnrecognizedClientException", Status: http.StatusBadRequest,
	Message: "The security token included in the request is invalid."}

// A Verifier checks AWS Signature Version 4 on requests, in the Authorization
// header or presigned in the query. It is safe for concurrent use.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv.html
type Verifier struct {
	service string
	keys    KeyLookup
	now     func() time.Time

	mu      sync.RWMutex
	derived map[derivedKey][]byte // guarded by mu; only keys that have verified a request
}

type derivedKey struct{ secret, date, region string }

// NewVerifier verifies requests that are signed for the service, in any
// region, with one of the keys. now is the clock; nil is time.Now.
func NewVerifier(service string, keys KeyLookup, now func() time.Time) *Verifier {
	if now == nil {
		now = time.Now
	}
	return &Verifier{service: service, keys: keys, now: now, derived: map[derivedKey][]byte{}}
}

// Verify checks the request's signature over body, which is the body exactly
// as it was sent. r must be as net/http received it. A session token has no
// meaning except that it must be signed. The error is an *Error, to be written
// with WriteError.
func (v *Verifier) Verify(r *http.Request, body []byte) (Caller, error) {
	c, secret, err := v.claim(r)
	if err != nil {
		return Caller{}, err
	}
	if err := v.check(r, c, secret, body); err != nil {
		return Caller{}, err
	}
	return c.caller(r, NewRequestID()), nil
}

// claim reads what the request says about its signature and checks all of it that
// can be checked without the body. The secret is that of the claimed key.
func (v *Verifier) claim(r *http.Request) (*claim, string, error) {
	c, err := parseClaim(r)
	if err != nil {
		return nil, "", err
	}
	if err := v.checkTime(c); err != nil {
		return nil, "", err
	}
	if err := checkSignedHeaders(r, c); err != nil {
		return nil, "", err
	}
	if err := v.checkScope(c); err != nil {
		return nil, "", err
	}
	key, err := v.keys(c.accessKeyID)
	if err != nil {
		return nil, "", err
	}
	c.principal = key.For
	return c, key.Secret, nil
}

// checkAhead checks the signature before the body is read, if the client sent the
// body's hash, which claim has found to be signed. If it did not, verified is
// false, without an error.
func (v *Verifier) checkAhead(r *http.Request, c *claim, secret string) (verified bool, err error) {
	claimed := r.Header.Get(contentHash)
	if claimed == "" {
		return false, nil
	}
	if hash, err := hex.DecodeString(claimed); err != nil || len(hash) != sha256.Size || strings.ToLower(claimed) != claimed {
		return false, errContentHash
	}
	if err := v.checkSignature(r, c, secret, claimed); err != nil {
		return false, err
	}
	return true, nil
}

// check checks the signature itself, over the body. The payload's hash is always
// computed from the body, whatever the client says that it is.
func (v *Verifier) check(r *http.Request, c *claim, secret string, body []byte) error {
	hash := sha256.Sum256(body)
	payload := hex.EncodeToString(hash[:])
	if claimed := r.Header.Get(contentHash); claimed != "" && claimed != payload {
		return errContentHash
	}
	return v.checkSignature(r, c, secret, payload)
}

// contentHash is the header in which a client may say what its body's hash is.
const contentHash = "X-Amz-Content-Sha256"

var errContentHash = invalidSignature(contentHash + " must be the SHA-256 of the body; unsigned and chunk-signed payloads are not accepted.")

// checkSignature checks the signature of a request whose body has the hash payload.
func (v *Verifier) checkSignature(r *http.Request, c *claim, secret, payload string) error {
	hash := sha256.Sum256(canonicalRequest(r, c, payload))
	toSign := algorithm + "\n" + c.stamp + "\n" + c.scope() + "\n" + hex.EncodeToString(hash[:])

	id := derivedKey{secret, c.date, c.region}
	v.mu.RLock()
	key, cached := v.derived[id]
	v.mu.RUnlock()
	if !cached {
		key = v.derive(id)
	}
	if !hmac.Equal(mac(key, toSign), c.signature) {
		return invalidSignature("The request signature we calculated does not match the signature you provided. " +
			"Check your AWS Secret Access Key and signing method. " +
			fmt.Sprintf("The host that has to be signed is %q.", r.Host))
	}
	if !cached {
		v.remember(id, key)
	}
	return nil
}

func (v *Verifier) derive(id derivedKey) []byte {
	key := mac([]byte("AWS4"+id.secret), id.date)
	key = mac(key, id.region)
	key = mac(key, v.service)
	return mac(key, terminator)
}

func (v *Verifier) remember(id derivedKey, key []byte) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if len(v.derived) >= maxDerivedKeys {
		clear(v.derived)
	}
	v.derived[id] = key
}

func (v *Verifier) checkTime(c *claim) error {
	now := v.now().UTC()
	if earliest := now.Add(-maxSkew); !c.presigned && c.time.Before(earliest) {
		return invalidSignature(fmt.Sprintf("Signature expired: %s is now earlier than %s (%s - 5 min.)",
			c.stamp, earliest.Format(timeLayout), now.Format(timeLayout)))
	}
	if latest := now.Add(maxSkew); c.time.After(latest) {
		return invalidSignature(fmt.Sprintf("Signature not yet current: %s is still later than %s (%s + 5 min.)",
			c.stamp, latest.Format(timeLayout), now.Format(timeLayout)))
	}
	if end := c.time.Add(c.expires); c.presigned && now.After(end) {
		return &Error{Type: "RequestExpired", Status: http.StatusBadRequest,
			Message: fmt.Sprintf("Request has expired: it was valid until %s, and it is now %s.",
				end.Format(timeLayout), now.Format(timeLayout))}
	}
	return nil
}

func (v *Verifier) checkScope(c *claim) error {
	var wrong []string
	if !wordOf(c.region, 64, "-") {
		wrong = append(wrong, "Credential should be scoped to a valid region.")
	}
	if c.service != v.service {
		wrong = append(wrong, "Credential should be scoped to correct service: '"+v.service+"'.")
	}
	if c.terminator != terminator {
		wrong = append(wrong, "Credential should be scoped with a valid terminator: '"+terminator+"'.")
	}
	if c.date != c.stamp[:len("20060102")] {
		wrong = append(wrong, "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP.")
	}
	if wrong != nil {
		return invalidSignature(strings.Join(wrong, " "))
	}
	return nil
}

func invalidSignature(message string) *Error {
	return &Error{Type: "InvalidSignatureException", Status: http.StatusBadRequest, Message: message}
}

func mac(key []byte, data string) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(data))
	return h.Sum(nil)
}
