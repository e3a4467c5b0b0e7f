package awsjson_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"github.com/ergane-dev/ergane/internal/awsjson"
)

const (
	keyID  = "AKIDEXAMPLE"
	secret = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
	body   = `{"Name":"a"}`
)

var now = time.Date(2026, 11, 22, 10, 30, 0, 0, time.UTC)

func keys(id string) (awsjson.Key, error) {
	if id != keyID {
		return awsjson.Key{}, awsjson.ErrUnknownKey
	}
	return awsjson.Key{Secret: secret, For: awsjson.Principal{Kind: awsjson.PrincipalRole, Name: "arn:aws:iam::0:role/r"}}, nil
}

func newVerifier() *awsjson.Verifier {
	return awsjson.NewVerifier("athena", keys, func() time.Time { return now })
}

func newRequest(method, target, body string) *http.Request {
	r := httptest.NewRequest(method, "http://127.0.0.1:7480"+target, strings.NewReader(body))
	if method == http.MethodPost {
		r.Header.Set("Content-Type", "application/x-amz-json-1.1")
		r.Header.Set("X-Amz-Target", "Test.Op")
	}
	return r
}

// A signing is how the AWS SDK for Go signs a test's request.
type signing struct {
	id, secret, token, service, region string
	at                                 time.Time
}

func rightly() signing {
	return signing{id: keyID, secret: secret, service: "athena", region: "eu-central-1", at: now}
}

func (s signing) credentials() aws.Credentials {
	return aws.Credentials{AccessKeyID: s.id, SecretAccessKey: s.secret, SessionToken: s.token}
}

func (s signing) sign(r *http.Request, body string) {
	hash := sha256.Sum256([]byte(body))
	r.URL.Host = r.Host
	err := v4.NewSigner().SignHTTP(context.Background(), s.credentials(), r, hex.EncodeToString(hash[:]), s.service, s.region, s.at)
	if err != nil {
		panic(err)
	}
}

// presign returns r presigned to be valid for some seconds.
func (s signing) presign(r *http.Request, body, seconds string) *http.Request {
	hash := sha256.Sum256([]byte(body))
	q := r.URL.Query()
	q.Set("X-Amz-Expires", seconds)
	r.URL.RawQuery = q.Encode()
	r.URL.Host = r.Host
	uri, headers, err := v4.NewSigner().PresignHTTP(context.Background(), s.credentials(), r, hex.EncodeToString(hash[:]), s.service, s.region, s.at)
	if err != nil {
		panic(err)
	}
	out := httptest.NewRequest(r.Method, uri, strings.NewReader(body))
	for name, values := range headers {
		if name != "Host" && name != "Content-Length" {
			out.Header[http.CanonicalHeaderKey(name)] = values
		}
	}
	return out
}

func TestVerifyAcceptsWhatTheSDKSigns(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name    string
		request func() (*http.Request, string)
	}{
		{"a call", func() (*http.Request, string) {
			r := newRequest("POST", "/", body)
			rightly().sign(r, body)
			return r, body
		}},
		{"a call with a session token", func() (*http.Request, string) {
			r := newRequest("POST", "/", body)
			s := rightly()
			s.token = "FwoGZXIvYXdzE+/="
			s.sign(r, body)
			return r, body
		}},
		{"a call from a clock that is four minutes slow", func() (*http.Request, string) {
			r := newRequest("POST", "/", body)
			s := rightly()
			s.at = now.Add(-4 * time.Minute)
			s.sign(r, body)
			return r, body
		}},
		{"a call from a clock that is four minutes fast", func() (*http.Request, string) {
			r := newRequest("POST", "/", body)
			s := rightly()
			s.at = now.Add(4 * time.Minute)
			s.sign(r, body)
			return r, body
		}},
		{"headers with spaces and several values", func() (*http.Request, string) {
			r := newRequest("POST", "/", body)
			r.Header["X-Amz-Meta"] = []string{"  a   b ", "c"}
			rightly().sign(r, body)
			return r, body
		}},
		{"an odd path and query", func() (*http.Request, string) {
			r := newRequest("GET", "/calculations/a%20b%2Fc+d/output?stream=std%20out&b=2&b=1&empty&z=%C3%A9%26~%2B", "")
			rightly().sign(r, "")
			return r, ""
		}},
		{"a presigned call", func() (*http.Request, string) {
			return rightly().presign(newRequest("POST", "/", body), body, "60"), body
		}},
		{"a presigned GET with a session token, late but in time", func() (*http.Request, string) {
			s := rightly()
			s.token, s.at = "tok/en+=", now.Add(-time.Hour)
			return s.presign(newRequest("GET", "/calculations/x/output?from=10", ""), "", "3601"), ""
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r, body := c.request()
			caller, err := newVerifier().Verify(r, []byte(body))
			if err != nil {
				t.Fatal(err)
			}
			if caller.AccessKeyID != keyID || caller.Principal.Kind != awsjson.PrincipalRole || caller.Region != "eu-central-1" || len(caller.RequestID) != 36 {
				t.Errorf("caller is %+v", caller)
			}
		})
	}
}

// AWS's documentation shows how this request is signed.
func TestVerifyAcceptsTheExampleOfAWSsDocumentation(t *testing.T) {
	t.Parallel()
	r := httptest.NewRequest("GET", "https://iam.amazonaws.com/?Action=ListUsers&Version=2010-05-08", nil)
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded; charset=utf-8")
	r.Header.Set("X-Amz-Date", "20150830T123600Z")
	r.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/iam/aws4_request, "+
		"SignedHeaders=content-type;host;x-amz-date, Signature=5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7")
	at := time.Date(2015, 8, 30, 12, 36, 0, 0, time.UTC)
	if _, err := awsjson.NewVerifier("iam", keys, func() time.Time { return at }).Verify(r, nil); err != nil {
		t.Error(err)
	}
}

func TestVerifyRefuses(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		how  signing
		// spoil changes the signed request.
		spoil func(*http.Request)
		body  string // as received
		want  string // type of the error
		says  string
	}{
		{name: "no signature", spoil: func(r *http.Request) { r.Header.Del("Authorization") }, want: "MissingAuthenticationTokenException"},
		{name: "another scheme", spoil: func(r *http.Request) { r.Header.Set("Authorization", "Bearer x") }, want: "MissingAuthenticationTokenException"},
		{name: "another algorithm", spoil: replaceAuth("AWS4-HMAC-SHA256", "AWS4-ECDSA-P256-SHA256"), want: "IncompleteSignatureException", says: "algorithm"},
		{name: "no credential", spoil: replaceAuth("Credential=", "Other="), want: "IncompleteSignatureException", says: "requires 'Credential' parameter"},
		{name: "no signed headers", spoil: replaceAuth("SignedHeaders=", "Other="), want: "IncompleteSignatureException"},
		{name: "a parameter without value", spoil: replaceAuth("SignedHeaders=", "SignedHeaders "), want: "IncompleteSignatureException"},
		{name: "a parameter twice", spoil: replaceAuth("Signature=", "Signature=00, Signature="), want: "IncompleteSignatureException"},
		{name: "four parts in the credential", spoil: replaceAuth("/aws4_request", ""), want: "IncompleteSignatureException", says: "5 slash-delimited"},
		{name: "no date", spoil: func(r *http.Request) { r.Header.Del("X-Amz-Date") }, want: "IncompleteSignatureException", says: "X-Amz-Date"},
		{name: "a date in another form", spoil: func(r *http.Request) { r.Header.Set("X-Amz-Date", "Sun, 22 Nov 2026 10:30:00 GMT") }, want: "IncompleteSignatureException"},
		{name: "two dates", spoil: func(r *http.Request) { r.Header.Add("X-Amz-Date", "20261122T103000Z") }, want: "IncompleteSignatureException", says: "only once"},
		{name: "two authorizations", spoil: func(r *http.Request) { r.Header.Add("Authorization", "AWS4-HMAC-SHA256 x") }, want: "IncompleteSignatureException"},
		{name: "two targets", spoil: func(r *http.Request) { r.Header.Add("X-Amz-Target", "Test.Op") }, want: "IncompleteSignatureException"},
		{name: "an unknown key", how: with(func(s *signing) { s.id = "AKIDOTHER" }), want: "UnrecognizedClientException"},
		{name: "an invalid key id", how: with(func(s *signing) { s.id = "AKID EX" }), want: "IncompleteSignatureException"},
		{name: "a wrong secret", how: with(func(s *signing) { s.secret = "guess" }), want: "InvalidSignatureException", says: `"127.0.0.1:7480"`},
		{name: "an hour ago", how: with(func(s *signing) { s.at = now.Add(-time.Hour) }), want: "InvalidSignatureException",
			says: "Signature expired: 20261122T093000Z is now earlier than 20261122T102500Z (20261122T103000Z - 5 min.)"},
		{name: "an hour ahead", how: with(func(s *signing) { s.at = now.Add(time.Hour) }), want: "InvalidSignatureException", says: "Signature not yet current"},
		{name: "another service", how: with(func(s *signing) { s.service = "s3" }), want: "InvalidSignatureException", says: "correct service: 'athena'"},
		{name: "an invalid region", how: with(func(s *signing) { s.region = "a.b" }), want: "InvalidSignatureException", says: "valid region"},
		{name: "another day in the scope", spoil: replaceAuth("/20261122/", "/20261121/"), want: "InvalidSignatureException", says: "Date in Credential scope"},
		{name: "another terminator", spoil: replaceAuth("aws4_request", "aws5_request"), want: "InvalidSignatureException", says: "terminator"},
		{name: "a changed body", body: `{"Name":"b"}`, want: "InvalidSignatureException"},
		{name: "a changed target", spoil: func(r *http.Request) { r.Header.Set("X-Amz-Target", "Test.Other") }, want: "InvalidSignatureException"},
		{name: "a changed host", spoil: func(r *http.Request) { r.Host = "example.org" }, want: "InvalidSignatureException"},
		{name: "a changed path", spoil: func(r *http.Request) { r.URL.Path = "/x" }, want: "InvalidSignatureException"},
		{name: "an added query", spoil: func(r *http.Request) { r.URL.RawQuery = "a=b" }, want: "InvalidSignatureException"},
		{name: "a broken query", spoil: func(r *http.Request) { r.URL.RawQuery = "a=%zz" }, want: "MalformedQueryString"},
		{name: "a semicolon in the query", spoil: func(r *http.Request) { r.URL.RawQuery = "a=1;b=2" }, want: "MalformedQueryString"},
		{name: "another method", spoil: func(r *http.Request) { r.Method = "PUT" }, want: "InvalidSignatureException"},
		{name: "an added x-amz header", spoil: func(r *http.Request) { r.Header.Set("X-Amz-Other", "x") }, want: "InvalidSignatureException", says: "X-Amz-Other"},
		{name: "a token that is not signed", spoil: func(r *http.Request) { r.Header.Set("X-Amz-Security-Token", "x") }, want: "InvalidSignatureException"},
		{name: "a changed token", how: with(func(s *signing) { s.token = "t" }), spoil: func(r *http.Request) { r.Header.Set("X-Amz-Security-Token", "u") }, want: "InvalidSignatureException"},
		{name: "an unsigned host", spoil: replaceAuth("host;", ""), want: "InvalidSignatureException", says: "'Host'"},
		{name: "headers out of order", spoil: replaceAuth("content-type;host", "host;content-type"), want: "IncompleteSignatureException"},
		{name: "a signed header that is missing", spoil: func(r *http.Request) { r.Header.Del("Content-Type") }, want: "InvalidSignatureException"},
		{name: "a signature that is no number", spoil: replaceAuth("Signature=", "Signature=zz"), want: "InvalidSignatureException"},
		{name: "an unsigned payload", spoil: func(r *http.Request) {
			r.Header.Set("X-Amz-Content-Sha256", "UNSIGNED-PAYLOAD")
			r.Header.Del("Authorization")
			if err := v4.NewSigner().SignHTTP(context.Background(), rightly().credentials(), r, "UNSIGNED-PAYLOAD", "athena", "eu-central-1", now); err != nil {
				panic(err)
			}
		}, want: "InvalidSignatureException", says: "unsigned"},
		{name: "a hundred and one headers", spoil: replaceAuth("SignedHeaders=", "SignedHeaders="+strings.Repeat("a;", 100)), want: "IncompleteSignatureException", says: "Too many"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r := newRequest("POST", "/", body)
			how := c.how
			if how.id == "" {
				how = rightly()
			}
			how.sign(r, body)
			if c.spoil != nil {
				c.spoil(r)
			}
			received := c.body
			if received == "" {
				received = body
			}
			expectRefusal(t, r, received, c.want, c.says)
		})
	}
}

func TestVerifyRefusesPresigned(t *testing.T) {
	t.Parallel()
	type query = map[string][]string
	for _, c := range []struct {
		name, seconds string
		at            time.Time
		spoil         func(r *http.Request, q query)
		want          string
	}{
		{name: "too late", seconds: "60", at: now.Add(-61 * time.Second), want: "RequestExpired"},
		{name: "from the future", seconds: "60", at: now.Add(6 * time.Minute), want: "InvalidSignatureException"},
		{name: "valid for more than seven days", seconds: "604801", want: "IncompleteSignatureException"},
		{name: "valid for no time", seconds: "0", want: "IncompleteSignatureException"},
		{name: "valid for a negative time", seconds: "-1", want: "IncompleteSignatureException"},
		{name: "with a longer life", seconds: "60", spoil: func(_ *http.Request, q query) { q["X-Amz-Expires"] = []string{"61"} }, want: "InvalidSignatureException"},
		{name: "without a signature", seconds: "60", spoil: func(_ *http.Request, q query) { delete(q, "X-Amz-Signature") }, want: "IncompleteSignatureException"},
		{name: "with a parameter twice", seconds: "60", spoil: func(_ *http.Request, q query) { q["X-Amz-Expires"] = []string{"60", "60"} }, want: "IncompleteSignatureException"},
		{name: "with a changed parameter", seconds: "60", spoil: func(_ *http.Request, q query) { q["from"] = []string{"11"} }, want: "InvalidSignatureException"},
		{name: "with a header, too", seconds: "60", spoil: func(r *http.Request, _ query) { r.Header.Set("Authorization", "AWS4-HMAC-SHA256 x") }, want: "InvalidSignatureException"},
		{name: "with an unsigned header", seconds: "60", spoil: func(r *http.Request, _ query) { r.Header.Set("X-Amz-Target", "Test.Op") }, want: "InvalidSignatureException"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			how := rightly()
			if !c.at.IsZero() {
				how.at = c.at
			}
			r := how.presign(newRequest("GET", "/calculations/x/output?from=10", ""), "", c.seconds)
			if c.spoil != nil {
				q := r.URL.Query()
				c.spoil(r, q)
				r.URL.RawQuery = q.Encode()
			}
			expectRefusal(t, r, "", c.want, "")
		})
	}
}

func TestVerifyRefusesTheSignatureOfAnotherKey(t *testing.T) {
	t.Parallel()
	v := awsjson.NewVerifier("athena", func(id string) (awsjson.Key, error) { return awsjson.Key{Secret: "secret of " + id}, nil }, func() time.Time { return now })
	for range 2 { // the second time the signing key comes from the cache
		r := newRequest("POST", "/", body)
		signing{id: "A", secret: "secret of A", service: "athena", region: "r", at: now}.sign(r, body)
		if _, err := v.Verify(r, []byte(body)); err != nil {
			t.Fatal(err)
		}
		replaceAuth("Credential=A/", "Credential=B/")(r)
		if _, err := v.Verify(r, []byte(body)); err == nil {
			t.Error("accepted as B what A has signed")
		}
	}
}

func expectRefusal(t *testing.T, r *http.Request, body, want, says string) {
	t.Helper()
	_, err := newVerifier().Verify(r, []byte(body))
	e, ok := err.(*awsjson.Error)
	if !ok || e.Type != want || !strings.Contains(e.Message, says) {
		t.Fatalf("got %v, want %s saying %q", err, want, says)
	}
	if e.Status != 400 {
		t.Errorf("status is %d", e.Status)
	}
	if strings.Contains(e.Message, secret) {
		t.Error("the message contains the secret")
	}
}

func with(change func(*signing)) signing {
	s := rightly()
	change(&s)
	return s
}

func replaceAuth(old, by string) func(*http.Request) {
	return func(r *http.Request) {
		r.Header.Set("Authorization", strings.Replace(r.Header.Get("Authorization"), old, by, 1))
	}
}

// FuzzVerify looks for a request that is accepted although nobody has signed it.
func FuzzVerify(f *testing.F) {
	r := newRequest("POST", "/", body)
	rightly().sign(r, body)
	authorization := r.Header.Get("Authorization")
	f.Add(authorization, "20261122T103000Z", "", "")
	f.Add("AWS4-HMAC-SHA256 Credential=a/b/c/d/e,SignedHeaders=;,Signature=", "2", "a=%41&&=", "x")
	f.Add("", "", rightly().presign(newRequest("GET", "/?a=b", ""), "", "60").URL.RawQuery, "")
	f.Add("AWS4-HMAC-SHA256 Credential", "20261122T103000Z", "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Expires=99999999999999999999", "")
	f.Fuzz(func(t *testing.T, authorization, date, query, token string) {
		r := newRequest("POST", "/never-signed", body)
		r.URL.RawQuery = query
		r.Header.Set("Authorization", authorization)
		r.Header.Set("X-Amz-Date", date)
		if token != "" {
			r.Header.Set("X-Amz-Security-Token", token)
		}
		if _, err := newVerifier().Verify(r, []byte(body)); err == nil {
			t.Error("accepted")
		}
	})
}
