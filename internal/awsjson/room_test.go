package awsjson_test

import (
	"crypto/sha256"
	"encoding/hex"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ergane-dev/ergane/internal/awsjson"
)

// newCrowd returns a service that knows every key except "NOBODY".
func newCrowd(t *testing.T) *service {
	t.Helper()
	return newService(t, func(c *awsjson.Config) {
		c.Verifier = awsjson.NewVerifier("athena", func(id string) (awsjson.Key, error) {
			if id == "NOBODY" {
				return awsjson.Key{}, awsjson.ErrUnknownKey
			}
			return awsjson.Key{Secret: secret}, nil
		}, func() time.Time { return now })
		c.Admit = func(c awsjson.Caller) error {
			if c.AccessKeyID == "PANICS" {
				panic("inner words")
			}
			return nil
		}
	})
}

// sized is a good body of n bytes.
func sized(n int) string { return "{" + strings.Repeat(" ", n-len(body)) + body[1:] }

// crowd returns a call of Op that key has signed for hash and that sends from;
// if ahead, it says the hash in a header.
func crowd(key string, ahead bool, signedFor string, size int64, from io.Reader) *http.Request {
	r := newRequest("POST", "/", "")
	r.Body, r.ContentLength = io.NopCloser(from), size
	if ahead {
		hash := sha256.Sum256([]byte(signedFor))
		r.Header.Set("X-Amz-Content-Sha256", hex.EncodeToString(hash[:]))
	}
	with(func(s *signing) { s.id = key }).sign(r, signedFor)
	return r
}

// expect sends a whole body of n bytes by key and looks at the answer.
func (s *service) expect(t *testing.T, what, key string, ahead bool, n, status int, want string) {
	t.Helper()
	text := sized(n)
	s.answers(t, what, crowd(key, ahead, text, int64(n), strings.NewReader(text)), status, want)
}

func (s *service) answers(t *testing.T, what string, r *http.Request, status int, want string) *httptest.ResponseRecorder {
	t.Helper()
	w := httptest.NewRecorder()
	s.Config.Handler.ServeHTTP(w, r)
	<-s.log
	if w.Code != status || !strings.Contains(w.Body.String(), want) {
		t.Errorf("%s: got %d %s\nwant %d %s", what, w.Code, w.Body, status, want)
	}
	return w
}

// A stall is a body that arrives up to its last byte, for which it waits until
// the connection breaks.
type stall struct {
	left   int
	here   func() // called when all but the last byte has been read
	broken <-chan struct{}
}

func (s *stall) Read(p []byte) (int, error) {
	if s.left == 0 {
		s.here()
		<-s.broken
		return 0, io.ErrUnexpectedEOF
	}
	n := min(len(p), s.left)
	s.left -= n
	return n, nil
}

// stall starts four calls by each key, with bodies of the maximum size, and waits
// until all have stalled; end interrupts them and waits.
func (s *service) stall(t *testing.T, ahead bool, keys ...string) (end func()) {
	t.Helper()
	broken := make(chan struct{})
	var stalled, ended sync.WaitGroup
	for range 4 {
		for _, key := range keys {
			stalled.Add(1)
			from := &stall{left: awsjson.MaxBody - 1, here: sync.OnceFunc(stalled.Done), broken: broken}
			r := crowd(key, ahead, "", awsjson.MaxBody, from)
			ended.Go(func() { s.answers(t, "a stalled call of "+key, r, 400, "RequestAbortedException") })
		}
	}
	stalled.Wait()
	end = sync.OnceFunc(func() {
		close(broken)
		ended.Wait()
	})
	t.Cleanup(end)
	return end
}

// long is more than the memory that stalled bodies leave.
const long = 100 << 10

const throttled = `{"__type":"ThrottlingException","Message":"Rate exceeded"}`

func TestStalledBodiesUseOnlyTheMemoryOfTheirKey(t *testing.T) {
	t.Parallel()
	s := newCrowd(t)
	end := s.stall(t, false, "A")
	s.expect(t, "a long call of the same key", "A", false, long, 400, throttled)
	s.expect(t, "a short call of the same key", "A", false, 4<<10, 200, "")
	s.expect(t, "a long call of the same key, verified ahead", "A", true, long, 200, "")
	s.expect(t, "a long call of another key", "B", false, long, 200, "")
	end()
	s.expect(t, "a long call afterwards", "A", false, long, 200, "")

	end = s.stall(t, true, "A")
	s.expect(t, "a long call, verified ahead, beside such", "A", true, long, 400, throttled)
	end()
	s.expect(t, "a long call, verified ahead, afterwards", "A", true, long, 200, "")
}

func TestAllBodiesTogetherAreBounded(t *testing.T) {
	t.Parallel()
	s := newCrowd(t)
	endUnverified := s.stall(t, false, "A", "B", "C")
	s.expect(t, "a long call beside unverified ones", "D", false, long, 400, throttled)
	s.expect(t, "a long call beside unverified ones, verified ahead", "D", true, long, 200, "")
	endVerified := s.stall(t, true, "D")
	s.expect(t, "a long call without any room", "E", true, long, 400, throttled)
	s.expect(t, "a short call without any room", "E", false, 4<<10, 200, "")
	endUnverified()
	endVerified()
	s.expect(t, "a long call afterwards", "E", false, long, 200, "")
}

func TestARequestReleasesItsMemoryHoweverItEnds(t *testing.T) {
	t.Parallel()
	s := newCrowd(t)
	most := sized(awsjson.MaxBody)
	for range 8 { // twice what there is room for
		for _, ahead := range []bool{false, true} {
			s.expect(t, "a large body", "A", ahead, len(most), 200, "")
			s.answers(t, "too large a body", crowd("A", ahead, most, -1, strings.NewReader(most+" ")), 413, "RequestEntityTooLargeException")
			s.answers(t, "another body", crowd("A", ahead, "", -1, strings.NewReader(most)), 400, "InvalidSignatureException")
			s.answers(t, "a panic", crowd("PANICS", ahead, most, -1, strings.NewReader(most)), 500, "InternalServerException")
		}
	}
	for _, key := range []string{"A", "PANICS"} {
		for _, ahead := range []bool{false, true} {
			s.answers(t, "afterwards", crowd(key, ahead, "", -1, strings.NewReader(most)), 400, "InvalidSignatureException")
		}
	}
}

// A counted reader counts what is read of it.
type counted struct {
	io.Reader
	n int
}

func (c *counted) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	c.n += n
	return n, err
}

func TestLittleIsReadFromUnknownKeys(t *testing.T) {
	t.Parallel()
	s := newCrowd(t)
	const size = 8 << 20
	for _, length := range []int64{size, -1} {
		from := &counted{Reader: strings.NewReader(strings.Repeat("a", size))}
		w := s.answers(t, "an unknown key", crowd("NOBODY", false, "", length, from), 400, "UnrecognizedClientException")
		if from.n > 1<<20+1 || w.Header().Get("Connection") != "close" {
			t.Errorf("length %d: %d bytes were read, Connection is %q", length, from.n, w.Header().Get("Connection"))
		}
	}
	// A client whose body is not longer than a valid one gets its answer and keeps its connection.
	from := &counted{Reader: strings.NewReader(strings.Repeat("a", 1<<20))}
	w := s.answers(t, "an unknown key", crowd("NOBODY", false, "", 1<<20, from), 400, "UnrecognizedClientException")
	if from.n != 1<<20 || w.Header().Get("Connection") != "" {
		t.Errorf("%d bytes were read, Connection is %q", from.n, w.Header().Get("Connection"))
	}
}

func TestASignatureOverASentHashIsCheckedBeforeTheBodyIsRead(t *testing.T) {
	t.Parallel()
	s := newCrowd(t)
	const other = `{"Name":"b"}`
	for _, c := range []struct {
		name      string
		signedFor string
		change    func(*http.Request)
		status    int
		want      string
		read      int
	}{
		{"a good one", body, func(*http.Request) {}, 200, `{"Name":"a"`, len(body)},
		{"a changed header", body, func(r *http.Request) { r.Header.Set("Content-Type", "application/x-amz-json-1.1 ; a=b") }, 400, "The request signature we calculated does not match", 0},
		{"a changed hash", body, func(r *http.Request) { r.Header.Set("X-Amz-Content-Sha256", strings.Repeat("0", 64)) }, 400, "The request signature we calculated does not match", 0},
		{"no hash", body, func(r *http.Request) { r.Header.Set("X-Amz-Content-Sha256", "UNSIGNED-PAYLOAD") }, 400, "X-Amz-Content-Sha256 must be the SHA-256 of the body", 0},
		{"a good one of another body", other, func(*http.Request) {}, 400, "X-Amz-Content-Sha256 must be the SHA-256 of the body", len(body)},
	} {
		from := &counted{Reader: strings.NewReader(body)}
		r := crowd("A", true, c.signedFor, int64(len(body)), from)
		r.Header.Set("Expect", "100-continue") // so that a refused body is not read to its end
		c.change(r)
		s.answers(t, c.name, r, c.status, c.want)
		if from.n != c.read {
			t.Errorf("%s: %d bytes of the body were read, want %d", c.name, from.n, c.read)
		}
	}
}
