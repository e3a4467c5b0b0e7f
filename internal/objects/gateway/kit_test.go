package gateway_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/ergane-dev/ergane/internal/credentials"
	"github.com/ergane-dev/ergane/internal/flock"
	"github.com/ergane-dev/ergane/internal/objects/gateway"
)

// patience is how long a condition may take to become true.
const patience = time.Minute

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not within %v: %s", patience, what)
		}
	}
}

// server stands for `ergane serve` in a test: a data dir with its lock held.
type server struct {
	dir  string
	lock *flock.Lock
	ring *credentials.Keyring
}

func newServer(t *testing.T) *server {
	t.Helper()
	dir := t.TempDir()
	lock, err := flock.Acquire(filepath.Join(dir, "lock"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { lock.Release() })
	ring, err := credentials.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	return &server{dir, lock, ring}
}

func (s *server) supervisor(t *testing.T, change func(*gateway.SupervisorConfig)) *gateway.Supervisor {
	t.Helper()
	cfg := gateway.SupervisorConfig{
		// A port that is not used for outgoing connections: it must be free after a restart.
		DataDir: s.dir, Listen: "127.0.0.2:0",
		Command: []string{os.Args[0], "s3"},
		Log:     slog.New(slog.NewTextHandler(t.Output(), nil)),
	}
	if change != nil {
		change(&cfg)
	}
	sup, err := gateway.NewSupervisor(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return sup
}

// start starts a supervisor that ends with the test.
func (s *server) start(t *testing.T, change func(*gateway.SupervisorConfig)) *gateway.Supervisor {
	t.Helper()
	sup := s.supervisor(t, change)
	if err := sup.Start(t.Context()); err != nil {
		log, _ := os.ReadFile(filepath.Join(s.dir, "s3.log"))
		t.Fatalf("%v\n%s", err, log)
	}
	t.Cleanup(func() {
		if err := sup.Stop(context.Background()); err != nil {
			t.Error(err)
		}
		if t.Failed() {
			log, _ := os.ReadFile(filepath.Join(s.dir, "s3.log"))
			t.Logf("s3.log:\n%s", log)
		}
	})
	return sup
}

type handle struct {
	PID   int
	Addr  string
	Build string
	Clean bool
}

func (s *server) handle(t *testing.T) handle {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(s.dir, "s3.json"))
	if err != nil {
		t.Fatal(err)
	}
	var h handle
	if err := json.Unmarshal(raw, &h); err != nil {
		t.Fatal(err)
	}
	return h
}

func (s *server) signal(t *testing.T, sig syscall.Signal) {
	t.Helper()
	if err := syscall.Kill(s.handle(t).PID, sig); err != nil {
		t.Fatal(err)
	}
}

// client is an AWS SDK client with the root key; change may make it another one.
func (s *server) client(t *testing.T, endpoint string, change func(*s3.Options)) *s3.Client {
	t.Helper()
	root := s.ring.Root()
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	o := s3.Options{
		Region: "us-east-1", BaseEndpoint: aws.String(endpoint), UsePathStyle: true,
		HTTPClient:  &http.Client{Transport: transport},
		Retryer:     aws.NopRetryer{},
		Credentials: keyProvider(root),
	}
	if change != nil {
		change(&o)
	}
	return s3.New(o)
}

func keyProvider(k credentials.Key) aws.CredentialsProvider {
	return aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
		return aws.Credentials{AccessKeyID: k.AccessKeyID, SecretAccessKey: k.Secret}, nil
	})
}

func put(t *testing.T, c *s3.Client, bucket, key, body string) error {
	t.Helper()
	_, err := c.PutObject(t.Context(), &s3.PutObjectInput{Bucket: &bucket, Key: &key, Body: bytes.NewReader([]byte(body))})
	return err
}

func get(t *testing.T, c *s3.Client, bucket, key string) (string, error) {
	t.Helper()
	out, err := c.GetObject(t.Context(), &s3.GetObjectInput{Bucket: &bucket, Key: &key})
	if err != nil {
		return "", err
	}
	defer out.Body.Close()
	b, err := io.ReadAll(out.Body)
	return string(b), err
}
