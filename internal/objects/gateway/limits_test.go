package gateway_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/google/uuid"

	"github.com/ergane-dev/ergane/internal/credentials"
	"github.com/ergane-dev/ergane/internal/flock"
	"github.com/ergane-dev/ergane/internal/objects/gateway"
)

// few starts an embedded S3 with 32 connections, and so 8 requests: 2 of one key,
// 2 without a key, and besides 1 of the server's key and 4 of its probe.
func few(c *gateway.SupervisorConfig) { limited(c) }

func limited(c *gateway.SupervisorConfig, more ...string) {
	c.Command = append([]string{os.Args[0], "s3", "--max-connections", "32"}, more...)
}

// session is the key of a session that lives.
func (s *server) session(t *testing.T) credentials.Key {
	t.Helper()
	id := uuid.NewString()
	dir := filepath.Join(s.dir, "sessions", id)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	lock, err := flock.Acquire(filepath.Join(dir, "lock"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { lock.Release() })
	return s.ring.Session(id)
}

func by(k credentials.Key) func(*s3.Options) {
	return func(o *s3.Options) { o.Credentials = keyProvider(k) }
}

// silent opens a connection and says nothing.
func silent(t *testing.T, endpoint string) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", strings.TrimPrefix(endpoint, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// signed is a signed request with an unsigned payload.
func signed(ctx context.Context, t *testing.T, k credentials.Key, method, url string, body io.Reader) *http.Request {
	t.Helper()
	req, err := http.NewRequestWithContext(ctx, method, url, body)
	if err != nil {
		t.Fatal(err)
	}
	const payload = "UNSIGNED-PAYLOAD"
	req.Header.Set("X-Amz-Content-Sha256", payload)
	creds := aws.Credentials{AccessKeyID: k.AccessKeyID, SecretAccessKey: k.Secret}
	if err := v4.NewSigner().SignHTTP(ctx, creds, req, payload, "s3", gateway.Region, time.Now()); err != nil {
		t.Fatal(err)
	}
	return req
}

// A stall is an upload whose end never comes.
type stall struct {
	cancel   func()
	answered chan string // the answer, or why there is none
}

// stall begins one, again and again until there is a slot for it.
func (s *server) stall(t *testing.T, endpoint string, k credentials.Key) stall {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	st := stall{cancel, make(chan string, 1)}
	done := make(chan bool)
	go func() {
		defer close(done)
		for {
			answer := upTo(ctx, signed(ctx, t, k, http.MethodPut, endpoint+"/bucket/stalled-"+uuid.NewString(), nil), 1<<20, 64<<10)
			if !strings.Contains(answer, "<Code>SlowDown</Code>") {
				st.answered <- answer
				return
			}
		}
	}()
	t.Cleanup(func() {
		cancel()
		<-done
	})
	return st
}

// upTo sends a request with a body of a length (-1 for one in chunks), of which
// it sends at most so many bytes, and returns the answer.
func upTo(ctx context.Context, req *http.Request, length int64, sent int) string {
	body, more := io.Pipe()
	req.Body, req.ContentLength = body, length
	var writes sync.WaitGroup
	writes.Go(func() { more.Write(make([]byte, sent)) })
	defer writes.Wait()
	ctx, cancel := context.WithTimeout(ctx, patience)
	context.AfterFunc(ctx, func() { body.Close() }) // net/http waits for its reader
	defer cancel()
	resp, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(req.WithContext(ctx))
	if err != nil {
		return err.Error()
	}
	defer resp.Body.Close()
	text, _ := io.ReadAll(resp.Body)
	return fmt.Sprintf("%d %s", resp.StatusCode, text)
}

// fill takes all slots of a key, with uploads that stall.
func (s *server) fill(t *testing.T, endpoint string, k credentials.Key, places int) []stall {
	t.Helper()
	var stalls []stall
	for range places {
		stalls = append(stalls, s.stall(t, endpoint, k))
	}
	c := s.client(t, endpoint, by(k))
	eventually(t, "the key has no place left", func() bool {
		_, err := c.HeadBucket(t.Context(), &s3.HeadBucketInput{Bucket: aws.String("bucket")})
		return statusOf(err) == http.StatusServiceUnavailable
	})
	return stalls
}

func statusOf(err error) int {
	if e, ok := errors.AsType[interface {
		error
		HTTPStatusCode() int
	}](err); ok {
		return e.HTTPStatusCode()
	}
	return 0
}

func TestIdleConnectionsGiveWayToNewOnes(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	endpoint := s.start(t, few).Endpoint()
	for range 40 {
		silent(t, endpoint)
	}
	for range 3 {
		if err := put(t, s.client(t, endpoint, nil), "bucket", "key", "x"); err != nil {
			t.Error(err)
		}
	}
	// If each were logged, any client could fill the log.
	if log, err := os.ReadFile(filepath.Join(s.dir, "s3.log")); err != nil || strings.Contains(string(log), "ERROR") {
		t.Errorf("the log says %s, %v", log, err)
	}
}

func TestOneKeysStalledUploadsLeaveRoomForOthers(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	endpoint := s.start(t, few).Endpoint()
	if err := put(t, s.client(t, endpoint, nil), "bucket", "key", "x"); err != nil {
		t.Fatal(err)
	}
	one := s.session(t)
	stalls := s.fill(t, endpoint, one, 2)
	wantError(t, put(t, s.client(t, endpoint, by(one)), "bucket", "key", "x"), 503, "SlowDown")
	if err := put(t, s.client(t, endpoint, by(s.session(t))), "bucket", "key", "x"); err != nil {
		t.Errorf("another session: %v", err)
	}
	if err := put(t, s.client(t, endpoint, nil), "bucket", "key", "x"); err != nil {
		t.Errorf("the server: %v", err)
	}
	// A request that only has a key's id gets none of its slots.
	guess := s.session(t)
	for range 4 {
		s.stall(t, endpoint, credentials.Key{AccessKeyID: guess.AccessKeyID, Secret: "wrong"})
	}
	if err := put(t, s.client(t, endpoint, by(guess)), "bucket", "key", "x"); err != nil {
		t.Errorf("a key of which others know the id: %v", err)
	}

	// An SDK tries again, and succeeds when there is a slot.
	var attempts atomic.Int32
	patient := s.client(t, endpoint, func(o *s3.Options) {
		by(one)(o)
		o.Retryer = retry.NewStandard(func(r *retry.StandardOptions) {
			r.MaxAttempts, r.MaxBackoff = 1000, 10*time.Millisecond
			r.RateLimiter = unlimited{}
		})
		o.HTTPClient = counting{o.HTTPClient, &attempts}
	})
	done := make(chan error, 1)
	go func() { done <- put(t, patient, "bucket", "key", "at last") }()
	eventually(t, "it has been tried again", func() bool { return attempts.Load() > 1 })
	stalls[0].cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

type unlimited struct{}

func (unlimited) GetToken(context.Context, uint) (func() error, error) {
	return func() error { return nil }, nil
}
func (unlimited) AddTokens(uint) error { return nil }

type counting struct {
	s3.HTTPClient
	n *atomic.Int32
}

func (c counting) Do(r *http.Request) (*http.Response, error) {
	c.n.Add(1)
	return c.HTTPClient.Do(r)
}

// The server's key has slots that sessions do not get, and so has its probe.
func TestTheServerHasSlotsOfItsOwn(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	sup := s.start(t, func(c *gateway.SupervisorConfig) {
		few(c)
		c.ProbeEvery, c.TryEvery = 20*time.Millisecond, time.Millisecond
	})
	endpoint := sup.Endpoint()
	if err := put(t, s.client(t, endpoint, nil), "bucket", "key", "x"); err != nil {
		t.Fatal(err)
	}
	for range 4 {
		s.fill(t, endpoint, s.session(t), 2)
	}
	wantError(t, put(t, s.client(t, endpoint, by(s.session(t))), "bucket", "key", "x"), 503, "SlowDown")
	if err := put(t, s.client(t, endpoint, nil), "bucket", "key", "x"); err != nil {
		t.Errorf("the server: %v", err)
	}
	s.fill(t, endpoint, s.ring.Root(), 1)
	wantError(t, put(t, s.client(t, endpoint, nil), "bucket", "key", "x"), 503, "SlowDown")
	for range 40 {
		silent(t, endpoint)
	}
	probed := filepath.Join(s.dir, "s3", "data", gateway.ProbeBucket, "probe")
	before, err := os.ReadFile(probed)
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "another probe is stored", func() bool {
		now, err := os.ReadFile(probed)
		return err == nil && len(now) > 0 && string(now) != string(before)
	})
	if err := sup.Healthy(); err != nil {
		t.Error(err)
	}
}

func TestTheProbesBucketIsTheServersOwn(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	sup := s.start(t, func(c *gateway.SupervisorConfig) { c.ProbeEvery, c.TryEvery = 20*time.Millisecond, time.Millisecond })
	eventually(t, "there is one", func() bool {
		_, err := os.Stat(filepath.Join(s.dir, "s3", "data", gateway.ProbeBucket, "probe"))
		return err == nil
	})
	c := s.client(t, sup.Endpoint(), nil)
	if err := put(t, c, "bucket", "key", "x"); err != nil {
		t.Fatal(err)
	}
	list, err := c.ListBuckets(t.Context(), &s3.ListBucketsInput{})
	if err != nil || len(list.Buckets) != 1 || *list.Buckets[0].Name != "bucket" {
		t.Errorf("%v, %v", list, err)
	}
	wantError(t, put(t, s.client(t, sup.Endpoint(), by(s.session(t))), gateway.ProbeBucket, "probe", "x"), 403, "AccessDenied")
}

func TestAClientThatStallsGetsATimeout(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	endpoint := s.start(t, func(c *gateway.SupervisorConfig) { limited(c, "--stall", "100ms") }).Endpoint()
	answer := <-s.stall(t, endpoint, s.ring.Root()).answered
	if !strings.HasPrefix(answer, "400") || !strings.Contains(answer, "<Code>RequestTimeout</Code>") {
		t.Errorf("the answer is %s", answer)
	}
}

// The answer comes before the body: nothing of it is read.
func TestABodyThatIsTooLongIsNotRead(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	endpoint := s.start(t, few).Endpoint()
	c := s.client(t, endpoint, nil)
	if err := put(t, c, "bucket", "key", "x"); err != nil {
		t.Fatal(err)
	}
	for name, at := range map[string]struct {
		method, path string
		length       int64 // -1: in chunks
		sent         int
	}{
		"tagging":           {http.MethodPut, "/bucket/key?tagging=", 600 << 20, 64 << 10},
		"tagging in chunks": {http.MethodPut, "/bucket/key?tagging=", -1, 5 << 20},
		"a list of keys":    {http.MethodPost, "/bucket?delete=", 600 << 20, 64 << 10},
		"a list of parts":   {http.MethodPost, "/bucket/key?uploadId=" + uuid.NewString(), 600 << 20, 64 << 10},
		"a policy":          {http.MethodPut, "/bucket?policy=", 600 << 20, 64 << 10},
		"a read":            {http.MethodGet, "/bucket/key", 600 << 20, 64 << 10},
		"a copy":            {http.MethodPut, "/bucket/copy", 600 << 20, 64 << 10},
	} {
		req := signed(t.Context(), t, s.ring.Root(), at.method, endpoint+at.path, nil)
		if name == "a copy" {
			req.Header.Set("X-Amz-Copy-Source", "bucket/key")
		}
		answer := upTo(t.Context(), req, at.length, at.sent)
		if !strings.HasPrefix(answer, "400") || !strings.Contains(answer, "<Code>EntityTooLarge</Code>") {
			t.Errorf("%s: %s", name, answer)
		}
	}
	if got, err := get(t, c, "bucket", "key"); got != "x" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
}

// Commits of a Delta table are stored one at a time, but none waits for one whose
// client stalls.
func TestAStalledCommitDelaysNoOther(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	endpoint := s.start(t, nil).Endpoint()
	const commit = "t/_delta_log/00000000000000000007.json"
	body, more := io.Pipe()
	ctx, cancel := context.WithCancel(t.Context())
	req := signed(ctx, t, s.session(t), http.MethodPut, endpoint+"/bucket/"+commit, body)
	req.ContentLength = 32 << 20
	answered := make(chan bool)
	go func() {
		defer close(answered)
		if resp, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(req); err == nil {
			resp.Body.Close()
		}
	}()
	// More than the socket's buffers hold: the embedded S3 has begun to read it.
	if _, err := more.Write(make([]byte, 31<<20)); err != nil {
		t.Fatal(err)
	}
	if err := put(t, s.client(t, endpoint, nil), "bucket", commit, "x"); err != nil {
		t.Error(err)
	}
	more.Close()
	cancel()
	<-answered
}

// spoil makes probes fail until mend is called: there is a folder in the object's place.
func (s *server) spoil(t *testing.T) (mend func()) {
	t.Helper()
	probe := filepath.Join(s.dir, "s3", "data", gateway.ProbeBucket, "probe")
	eventually(t, "a probe is stored", func() bool {
		_, err := os.Stat(probe)
		return err == nil
	})
	eventually(t, "a folder is in its place", func() bool {
		os.Remove(probe)
		return os.MkdirAll(filepath.Join(probe, "x"), 0o700) == nil
	})
	return func() {
		if err := os.RemoveAll(probe); err != nil {
			t.Fatal(err)
		}
	}
}

func TestAnEmbeddedS3ThatStoresNothingIsStartedAgain(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	sup := s.start(t, func(c *gateway.SupervisorConfig) { c.ProbeEvery, c.TryEvery = 20*time.Millisecond, time.Millisecond })
	mend := s.spoil(t)
	eventually(t, "it is called unhealthy", func() bool { return sup.Healthy() != nil })
	eventually(t, "another process is started", func() bool { return sup.Restarts() > 0 })
	mend()
	eventually(t, "it is called healthy", func() bool { return sup.Healthy() == nil })
}

func TestAnEmbeddedS3OnADiskThatFailsIsNotRestarted(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	var tries atomic.Int32
	sup := s.start(t, func(c *gateway.SupervisorConfig) {
		c.ProbeEvery, c.TryEvery = 20*time.Millisecond, time.Millisecond
		c.Disk = func(string) error {
			tries.Add(1)
			return errors.New("no space left on device")
		}
	})
	pid := s.handle(t).PID
	mend := s.spoil(t)
	eventually(t, "it has failed more often than a process may", func() bool { return tries.Load() > 5 })
	if err := sup.Healthy(); err == nil || !strings.Contains(err.Error(), "no space left on device") {
		t.Errorf("its health is %v", err)
	}
	if now := s.handle(t).PID; now != pid || sup.Restarts() != 0 {
		t.Errorf("process %d was replaced by %d", pid, now)
	}
	mend()
	eventually(t, "it is called healthy", func() bool { return sup.Healthy() == nil })
}
