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
	// ProbeBucket is where the server tries whether the store serves. Lists of
	// buckets leave it out, and only the server's key has access to it.
	ProbeBucket = "ergane-probe"
	probeKey    = "probe"
	// triedBytes is how much a folder has to take to count as one that can be
	// written to: more than an object of the probe needs.
	triedBytes = 64 << 10
)

// probe asks the process at the address for its id. It says that the process
// lives and accepts, and who it is, and nothing of its disk.
func probe(ctx context.Context, addr string, pid int, timeout time.Duration) error {
	ctx, cancel := context.WithTimeoutCause(ctx, timeout, fmt.Errorf("no answer within %v", timeout))
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+addr+healthPath, nil)
	if err != nil {
		return err
	}
	resp, err := stranger().Do(req)
	if err != nil {
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		return fmt.Errorf("the store at %s: %w", addr, err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 32))
	if err != nil {
		return fmt.Errorf("the store at %s: %w", addr, err)
	}
	if string(body) != strconv.Itoa(pid) {
		return fmt.Errorf("%s: %w", addr, ErrInUse)
	}
	return nil
}

// stranger is a client with a connection of its own for every request: one that
// is kept would say nothing of accept.
func stranger() *http.Client {
	return &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
}

// try puts an object into the store and gets it back.
func try(ctx context.Context, addr string, key credentials.Key, timeout time.Duration) error {
	ctx, cancel := context.WithTimeoutCause(ctx, timeout, fmt.Errorf("not within %v", timeout))
	defer cancel()
	c := s3.New(s3.Options{
		Region: Region, BaseEndpoint: aws.String("http://" + addr), UsePathStyle: true,
		HTTPClient: stranger(), Retryer: aws.NopRetryer{},
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: key.AccessKeyID, SecretAccessKey: key.Secret}, nil
		}),
	})
	sent := []byte(time.Now().Format(time.RFC3339Nano))
	_, err := c.PutObject(ctx, &s3.PutObjectInput{Bucket: aws.String(ProbeBucket), Key: aws.String(probeKey), Body: bytes.NewReader(sent)})
	if err != nil {
		return fmt.Errorf("the store does not take objects: %w", because(ctx, err))
	}
	out, err := c.GetObject(ctx, &s3.GetObjectInput{Bucket: aws.String(ProbeBucket), Key: aws.String(probeKey)})
	if err != nil {
		return fmt.Errorf("the store does not give objects: %w", because(ctx, err))
	}
	defer out.Body.Close()
	got, err := io.ReadAll(io.LimitReader(out.Body, 64))
	if err != nil {
		return fmt.Errorf("the store does not give objects: %w", because(ctx, err))
	}
	if !bytes.Equal(got, sent) {
		return errors.New("the store gives another object than it has taken")
	}
	return nil
}

// because is the reason for which ctx has ended, if it has, or err.
func because(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

// A disk is tried where a store fails: to start that anew mends no disk.
type disk struct {
	write  func(folder string) error
	folder string
	trying chan error // nil while nothing is being written
}

// fault is what is wrong with it, nil if it takes a file within the time. A
// write that hangs goes on, and the next call waits for the same one.
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
		return fmt.Errorf("%s takes no file within %v", d.folder, timeout)
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// writeThrough makes a file of triedBytes and removes it.
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
