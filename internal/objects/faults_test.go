package objects_test

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ergane-dev/ergane"
	"github.com/ergane-dev/ergane/internal/objects"
)

// sick is an S3 that gives every request the same faulty answer.
func sick(t *testing.T, answer http.HandlerFunc) *objects.Client {
	t.Helper()
	srv := httptest.NewServer(answer)
	t.Cleanup(func() {
		srv.CloseClientConnections()
		srv.Close()
	})
	s, err := objects.New(objects.Config{Endpoint: srv.URL, AccessKeyID: "A", Secret: "S", PathStyle: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	s.Hurry()
	return s
}

// says answers with a status and, if there is one, an error of S3.
func says(status int, code, message string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.WriteHeader(status)
		if code != "" {
			fmt.Fprintf(w, "<Error><Code>%s</Code><Message>%s</Message></Error>", code, message)
		}
	}
}

// cut answers with the beginning of an answer, and drops the connection.
func cut(head string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		c, _, err := w.(http.Hijacker).Hijack()
		if err == nil {
			_, _ = io.WriteString(c, head)
			c.Close()
		}
	}
}

// Each fault gives an error of one line, which is permanent only if a retry does
// not help.
func TestEveryFaultOfS3IsSaidInOneSentence(t *testing.T) {
	t.Parallel()
	hang := func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // net/http sees only after that that the client has disconnected
		<-r.Context().Done()
	}
	for name, c := range map[string]struct {
		answer    http.HandlerFunc
		want      string
		permanent bool
	}{
		"500 without a word": {says(500, "", ""), "S3 answers InternalServerError: Internal Server Error", false},
		"500":                {says(500, "InternalError", "We are sorry."), "S3 answers InternalError: We are sorry.", false},
		"503":                {says(503, "SlowDown", "Please reduce your request rate."), "S3 answers SlowDown: Please reduce your request rate.", false},
		"503 of a proxy": {func(w http.ResponseWriter, _ *http.Request) {
			http.Error(w, "<html>no backend</html>", http.StatusServiceUnavailable)
		}, "S3 answers ServiceUnavailable: Service Unavailable", false},
		"429":                    {says(429, "", ""), "S3 answers TooManyRequests: Too Many Requests", false},
		"507 disk full":          {says(507, "InsufficientStorage", "The disk is full."), "S3 answers InsufficientStorage: The disk is full.", false},
		"403":                    {says(403, "AccessDenied", "Access Denied."), "S3 answers AccessDenied: Access Denied.", true},
		"403 without a word":     {says(403, "", ""), "S3 answers Forbidden: Forbidden", true},
		"a wrong secret":         {says(403, "SignatureDoesNotMatch", "It does not match."), "S3 answers SignatureDoesNotMatch: It does not match.", true},
		"a clock that is off":    {says(403, "RequestTimeTooSkewed", "The difference is too large."), "S3 answers RequestTimeTooSkewed: The difference is too large.", false},
		"an expired token":       {says(400, "RequestTimeout", "Your socket was idle."), "S3 answers RequestTimeout: Your socket was idle.", false},
		"no bucket":              {says(404, "NoSuchBucket", "The specified bucket does not exist."), "S3 answers NoSuchBucket: The specified bucket does not exist.", true},
		"no answer":              {cut(""), "S3 cannot be reached: EOF", false},
		"half a head":            {cut("HTTP/1.1 200 OK\r\nETag: "), "S3 cannot be reached: unexpected EOF", false},
		"half a body of a fault": {cut("HTTP/1.1 500 X\r\nContent-Length: 100\r\n\r\n<Err"), "S3 answers 500 Internal Server Error", false},
		"no HTTP":                {cut("SSH-2.0-OpenSSH_9\r\n"), `S3 cannot be reached: malformed HTTP response "SSH-2.0-OpenSSH_9"`, false},
		"silence":                {hang, "S3 took longer than 300ms", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := sick(t, c.answer)
			if name == "silence" {
				s.SetPatience(300 * time.Millisecond)
			}
			for _, size := range []int64{5, 9 << 20} {
				err := s.Put(t.Context(), "s3://bucket/key", pattern{size}, size, "text/plain", ergane.Delivery{})
				if err == nil {
					t.Fatalf("%d bytes: no error", size)
				}
				text := err.Error()
				if !strings.HasSuffix(text, c.want) && (size < 9<<20 || !strings.Contains(text, c.want)) || strings.Contains(text, "\n") || len(text) > 200 {
					t.Errorf("%d bytes: %q, want … %q", size, text, c.want)
				}
				if objects.Permanent(err) != c.permanent {
					t.Errorf("%d bytes: permanent is %t: %v", size, !c.permanent, err)
				}
			}
		})
	}
}

func TestAnUnreachableS3IsSaidInOneSentence(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	for endpoint, want := range map[string]string{
		"http://" + l.Addr().String():  "put s3://bucket/key: S3 cannot be reached: dial tcp " + l.Addr().String() + ": connect: connection refused",
		"http://no-such-host.invalid/": "put s3://bucket/key: S3 cannot be reached: dial tcp: lookup no-such-host.invalid",
	} {
		s, err := objects.New(objects.Config{Endpoint: endpoint, AccessKeyID: "A", Secret: "S", PathStyle: true})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		err = s.Put(t.Context(), "s3://bucket/key", pattern{5}, 5, "text/plain", ergane.Delivery{})
		if err == nil || !strings.HasPrefix(err.Error(), want) || strings.Contains(err.Error(), "\n") || objects.Permanent(err) {
			t.Errorf("%v, want %s", err, want)
		}
	}
}

// By default the SDK has a quota of retries over all calls: after a quarter of
// an hour of failures each call would have only one attempt.
func TestALongOutageLeavesEachCallItsRetries(t *testing.T) {
	t.Parallel()
	var attempts atomic.Int64
	s := sick(t, func(w http.ResponseWriter, r *http.Request) {
		attempts.Add(1)
		says(503, "SlowDown", "Please reduce your request rate.")(w, r)
	})
	const calls = 300
	for n := range calls {
		err := s.Put(t.Context(), "s3://bucket/key", pattern{5}, 5, "text/plain", ergane.Delivery{})
		if err == nil || err.Error() != "put s3://bucket/key: S3 answers SlowDown: Please reduce your request rate." {
			t.Fatalf("call %d: %v", n, err)
		}
	}
	if got := attempts.Load(); got != 3*calls {
		t.Errorf("%d attempts of %d calls", got, calls)
	}
}
