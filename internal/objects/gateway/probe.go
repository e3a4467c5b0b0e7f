package gateway

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/ergane-dev/ergane/internal/credentials"
)

const (
	// ProbeBucket is the bucket in which the server tests whether the embedded S3
	// works. It is not in lists of buckets, and only the server's key has access.
	ProbeBucket = "ergane-probe"
	probeKey    = "probe"
	// triedBytes is how many bytes are written to a folder to test whether it can be
	// written to: more than an object of the probe needs.
	triedBytes = 64 << 10
)

// probe asks the process at the address for its id: it tests that the process
// lives, accepts connections and is the right one, but not its disk.
func probe(ctx context.Context, addr string, pid int, timeout time.Duration) error {
	ctx, cancel := context.WithTimeoutCause(ctx, timeout, fmt.Errorf("no answer within %v", timeout))
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+addr+healthPath, nil)
	if err != nil {
		return err
	}
	resp, err := newConnections().Do(req)
	if err != nil {
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		return fmt.Errorf("the embedded S3 at %s: %w", addr, err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 32))
	if err != nil {
		return fmt.Errorf("the embedded S3 at %s: %w", addr, err)
	}
	if string(body) != strconv.Itoa(pid) {
		return fmt.Errorf("%s: %w", addr, ErrInUse)
	}
	return nil
}

// newConnections is a client that opens a connection for every request: a
// connection that is reused would not test accept.
func newConnections() *http.Client {
	return &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
}

// try puts an object into the embedded S3 and gets it back.
func try(ctx context.Context, addr string, key credentials.Key, timeout time.Duration) error {
	ctx, cancel := context.WithTimeoutCause(ctx, timeout, fmt.Errorf("not within %v", timeout))
	defer cancel()
	c := s3.New(s3.Options{
		Region: Region, BaseEndpoint: aws.String("http://" + addr), UsePathStyle: true,
		HTTPClient: newConnections(), Retryer: aws.NopRetryer{},
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: key.AccessKeyID, SecretAccessKey: key.Secret}, nil
		}),
	})
	sent := []byte(time.Now().Format(time.RFC3339Nano))
	_, err := c.PutObject(ctx, &s3.PutObjectInput{Bucket: aws.String(ProbeBucket), Key: aws.String(probeKey), Body: bytes.NewReader(sent)})
	if err != nil {
		return fmt.Errorf("the embedded S3 does not store objects: %w", because(ctx, err))
	}
	out, err := c.GetObject(ctx, &s3.GetObjectInput{Bucket: aws.String(ProbeBucket), Key: aws.String(probeKey)})
	if err != nil {
		return fmt.Errorf("the embedded S3 does not return objects: %w", because(ctx, err))
	}
	defer out.Body.Close()
	got, err := io.ReadAll(io.LimitReader(out.Body, 64))
	if err != nil {
		return fmt.Errorf("the embedded S3 does not return objects: %w", because(ctx, err))
	}
	if !bytes.Equal(got, sent) {
		return errors.New("the embedded S3 returns another object than it has stored")
	}
	return nil
}

// because is the cause of ctx's end if it has ended, and otherwise err.
func because(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

// A disk is tested when the embedded S3 fails: if the disk is the cause, a
// restart does not help.
type disk struct {
	write  func(folder string) error
	folder string
	trying chan error // nil while nothing is being written
}

// fault returns what is wrong with the disk; nil if a file can be written within
// the time. A write that hangs goes on, and the next call waits for it.
func (d *disk) fault(ctx context.Context, timeout time.Duration) error {
	if d.trying == nil {
		d.trying = make(chan error, 1)
		go func(done chan<- error) { done <- d.write(d.folder) }(d.trying)
	}
	select {
	case err := <-d.trying:
		d.trying = nil
		return err
	case <-time.After(timeout):
		return fmt.Errorf("no file could be written to %s within %v", d.folder, timeout)
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// writeThrough writes and flushes a file of triedBytes, and removes it.
func writeThrough(folder string) error {
	dir, err := os.MkdirTemp(folder, ".try-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	f, err := os.Create(filepath.Join(dir, "file"))
	if err != nil {
		return err
	}
	_, err = f.Write(bytes.Repeat([]byte{1}, triedBytes))
	return errors.Join(err, f.Sync(), f.Close())
}
