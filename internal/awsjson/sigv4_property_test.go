package awsjson_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"pgregory.net/rapid"
)

// draw makes any request, signed by the AWS SDK for Go, which is a signer that
// shares no code with our verifier.
func draw(t *rapid.T) (r *http.Request, body string) {
	odd := rapid.StringMatching(`[a-zA-Z0-9 ~_.&=+%;/?#:@é😀"'*(),-]{0,12}`)
	query := url.Values{}
	for range rapid.IntRange(0, 3).Draw(t, "parameters") {
		query.Add("p"+odd.Draw(t, "parameter"), odd.Draw(t, "value"))
	}
	path := "/"
	for range rapid.IntRange(0, 2).Draw(t, "segments") {
		path += url.PathEscape(odd.Draw(t, "segment")) + "x/"
	}
	body = rapid.String().Draw(t, "body")
	method := rapid.SampledFrom([]string{"GET", "POST", "PUT"}).Draw(t, "method")
	r = httptest.NewRequest(method, "http://127.0.0.1:7480"+path+"?"+query.Encode(), strings.NewReader(body))
	r.Host = rapid.SampledFrom([]string{"127.0.0.1:7480", "athena.example.org", "[::1]:7480", "localhost:8443"}).Draw(t, "host")
	r.Header.Set("Content-Type", "application/x-amz-json-1.1")
	r.Header.Set("X-Amz-Target", "Test."+rapid.StringMatching(`[A-Za-z]{1,9}`).Draw(t, "operation"))
	r.Header.Set("User-Agent", "signers leave this out")
	spaced := rapid.StringMatching(`[ ]{0,2}[a-z]{1,3}[ ]{0,3}[a-z,]{1,3}[ ]{0,2}`)
	for i := range rapid.IntRange(0, 2).Draw(t, "headers") {
		r.Header[fmt.Sprintf("X-Amz-Meta-%d", i)] = rapid.SliceOfN(spaced, 1, 3).Draw(t, "values")
	}
	s := rightly()
	s.region = rapid.SampledFrom([]string{"us-east-1", "eu-central-1", "us-gov-west-1"}).Draw(t, "region")
	s.token = rapid.SampledFrom([]string{"", "tok/en+=", "ASIA=="}).Draw(t, "token")
	s.at = now.Add(time.Duration(rapid.IntRange(-300, 300).Draw(t, "clock")) * time.Second)
	if rapid.Bool().Draw(t, "presigned") {
		if s.at.After(now) {
			s.at = now // a token for a minute has begun
		}
		return s.presign(r, body, "301"), body
	}
	s.sign(r, body)
	return r, body
}

func TestVerifyAcceptsWhateverTheSDKSigns(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		r, body := draw(t)
		if caller, err := newVerifier().Verify(r, []byte(body)); err != nil || caller.AccessKeyID != keyID {
			t.Fatalf("%s %s %v: %+v, %v", r.Method, r.URL, r.Header, caller, err)
		}
	})
}

func TestVerifyRefusesWhatWasChangedInAnyPart(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		r, body := draw(t)
		query := r.URL.Query()
		presigned := query.Has("X-Amz-Signature")
		// other is the text with one character changed into another.
		other := func(s string) string {
			i := rapid.IntRange(0, len(s)-1).Draw(t, "at")
			by := "a"
			if s[i] == 'a' || s[i] == 'A' {
				by = "b"
			}
			return s[:i] + by + s[i+1:]
		}
		changes := map[string]func(){
			"method":             func() { r.Method = map[string]string{"GET": "POST", "POST": "PUT", "PUT": "GET"}[r.Method] },
			"path":               func() { r.URL.Path, r.URL.RawPath = r.URL.Path+"x", "" },
			"host":               func() { r.Host = other(r.Host) },
			"body":               func() { body += "x" },
			"added x-amz header": func() { r.Header.Set("X-Amz-Added", "x") },
			"added parameter":    func() { r.URL.RawQuery += "&added=1" },
		}
		for name, values := range r.Header {
			if name == "User-Agent" || name == "Authorization" {
				continue
			}
			if presigned && name == "Content-Length" {
				continue
			}
			changes["header "+name] = func() {
				i := rapid.IntRange(0, len(values)-1).Draw(t, "value")
				changed := slices.Clone(values)
				changed[i] += "x"
				r.Header[name] = changed
			}
			changes["removed header "+name] = func() { r.Header.Del(name) }
			changes["second header "+name] = func() { r.Header.Add(name, "x") }
		}
		for name, values := range query {
			changes["parameter "+name] = func() {
				i := rapid.IntRange(0, len(values)-1).Draw(t, "value")
				query[name][i] += "1"
				r.URL.RawQuery = query.Encode()
			}
			changes["removed parameter "+name] = func() {
				query.Del(name)
				r.URL.RawQuery = query.Encode()
			}
		}
		if !presigned {
			parts := strings.SplitN(r.Header.Get("Authorization"), " ", 2)
			for _, part := range strings.Split(parts[1], ", ") {
				name, value, _ := strings.Cut(part, "=")
				changes[name] = func() {
					r.Header.Set("Authorization", strings.Replace(r.Header.Get("Authorization"), part, name+"="+other(value), 1))
				}
			}
		}
		what := rapid.SampledFrom(slices.Sorted(maps.Keys(changes))).Draw(t, "change")
		changes[what]()
		if _, err := newVerifier().Verify(r, []byte(body)); err == nil {
			t.Fatalf("accepted with another %s: %s %s %v", what, r.Method, r.URL, r.Header)
		}
	})
}

func TestTheClockMayBeOffByFiveMinutesAndNoMore(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		at   time.Duration // of the signature, from now
		life string        // of a presigned request
		want string        // the error's type
	}{
		{"five minutes slow", -5 * time.Minute, "", ""},
		{"slower by a second", -5*time.Minute - time.Second, "", "InvalidSignatureException"},
		{"five minutes fast", 5 * time.Minute, "", ""},
		{"faster by a second", 5*time.Minute + time.Second, "", "InvalidSignatureException"},
		{"presigned, in its last second", -time.Hour, "3600", ""},
		{"presigned, after its last second", -time.Hour - time.Second, "3600", "RequestExpired"},
		{"presigned, five minutes fast", 5 * time.Minute, "60", ""},
		{"presigned, faster by a second", 5*time.Minute + time.Second, "60", "InvalidSignatureException"},
		{"presigned for seven days", -7 * 24 * time.Hour, "604800", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r := newRequest("POST", "/", body)
			how := with(func(s *signing) { s.at = now.Add(c.at) })
			if c.life == "" {
				how.sign(r, body)
			} else {
				r = how.presign(r, body, c.life)
			}
			if c.want != "" {
				expectRefusal(t, r, body, c.want, "")
			} else if _, err := newVerifier().Verify(r, []byte(body)); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestXAmzDateCountsAndDateDoesNot(t *testing.T) {
	t.Parallel()
	r := newRequest("POST", "/", body)
	r.Header.Set("Date", "Sun, 30 Aug 2015 12:36:00 GMT")
	rightly().sign(r, body)
	if _, err := newVerifier().Verify(r, []byte(body)); err != nil {
		t.Errorf("with a Date of another time: %v", err)
	}
	r.Header.Set("Date", r.Header.Get("X-Amz-Date"))
	r.Header.Del("X-Amz-Date")
	expectRefusal(t, r, body, "IncompleteSignatureException", "X-Amz-Date")
}

// A call in the protocol's JSON form, presigned: the target stays a header.
func TestHandlerAnswersPresignedCalls(t *testing.T) {
	t.Parallel()
	s := newService(t)
	for _, token := range []string{"", "tok/en+="} {
		r, err := http.NewRequest("POST", s.URL+"/?X-Amz-Expires=60", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", "application/x-amz-json-1.1")
		r.Header.Set("X-Amz-Target", "Test.Op")
		how := with(func(s *signing) { s.token = token })
		hash := sha256.Sum256([]byte(body))
		uri, header, err := v4.NewSigner().PresignHTTP(context.Background(), how.credentials(), r, hex.EncodeToString(hash[:]), how.service, how.region, how.at,
			func(o *v4.SignerOptions) { o.DisableHeaderHoisting = true })
		if err != nil {
			t.Fatal(err)
		}
		if token != "" && !strings.Contains(uri, "X-Amz-Security-Token=") {
			t.Fatalf("no token in %s", uri)
		}
		send := func(body string) (*http.Response, string) {
			out, err := http.NewRequest("POST", uri, strings.NewReader(body))
			if err != nil {
				t.Fatal(err)
			}
			for name, values := range header {
				if name != "Host" && name != "Content-Length" {
					out.Header[http.CanonicalHeaderKey(name)] = values
				}
			}
			return s.send(t, out)
		}
		if answer, text := send(body); answer.StatusCode != 200 {
			t.Errorf("token %q: %d %s", token, answer.StatusCode, text)
		}
		if answer, text := send(`{"Name":"b"}`); answer.StatusCode != 400 || !strings.Contains(text, "InvalidSignatureException") {
			t.Errorf("token %q, another body: %d %s", token, answer.StatusCode, text)
		}
	}
}
