// Package objects stores results in S3, the embedded one (package gateway) or
// any other.
//
// It tries again only a little and within a fixed time: whoever calls it knows
// how long an object may take and owns the real retrying. Permanent tells the
// errors where that helps from those where it does not.
package objects

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/ratelimit"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
)

// Config says which S3 and as whom.
type Config struct {
	// Endpoint is the URL of the service; empty is AWS's own for Region.
	Endpoint string
	// Region defaults to us-east-1.
	Region      string
	AccessKeyID string
	Secret      string
	// PathStyle puts the bucket into the path and not into the host name.
	PathStyle bool
	// Embedded says that Endpoint is our own gateway on this machine: payloads
	// are not hashed for the signature, limits are shorter, path style is on.
	Embedded bool
}

// A Store puts objects and gets them. It is safe for concurrent use.
type Store struct {
	client *s3.Client
	idle   *http.Transport
	cfg    Config
	// base and rate bound one request: base plus its bytes at that many a second.
	base time.Duration
	rate int64
	// checksum is sent with every payload; empty for none.
	checksum types.ChecksumAlgorithm
}

// New makes a Store; it does not connect.
func New(cfg Config) (*Store, error) {
	if cfg.AccessKeyID == "" || cfg.Secret == "" {
		return nil, errors.New("S3: the access key id and the secret must both be given")
	}
	if cfg.Embedded && cfg.Endpoint == "" {
		return nil, errors.New("S3: the embedded store needs an endpoint")
	}
	if cfg.Endpoint != "" {
		if u, err := url.Parse(cfg.Endpoint); err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
			return nil, fmt.Errorf("S3: endpoint %q is not an http:// or https:// URL", cfg.Endpoint)
		}
	}
	cfg.Region = cmp.Or(cfg.Region, "us-east-1")
	transport := &http.Transport{
		Proxy:                 http.ProxyFromEnvironment, // never for loopback
		DialContext:           (&net.Dialer{Timeout: 10 * time.Second, KeepAlive: 30 * time.Second}).DialContext,
		TLSHandshakeTimeout:   10 * time.Second,
		ExpectContinueTimeout: time.Second,
		ResponseHeaderTimeout: 2 * time.Minute,
		MaxIdleConns:          64,
		MaxIdleConnsPerHost:   64,
		IdleConnTimeout:       90 * time.Second,
		DisableCompression:    true,
		WriteBufferSize:       64 << 10,
		ReadBufferSize:        64 << 10,
	}
	s := &Store{idle: transport, cfg: cfg, base: time.Minute, rate: 128 << 10}
	backoff := 2 * time.Second
	if cfg.Embedded {
		backoff = 200 * time.Millisecond
		transport.ResponseHeaderTimeout = 20 * time.Second
		s.base, s.rate = 20*time.Second, 4<<20
	}
	key := aws.Credentials{AccessKeyID: cfg.AccessKeyID, SecretAccessKey: cfg.Secret}
	o := s3.Options{
		Region:       cfg.Region,
		UsePathStyle: cfg.PathStyle || cfg.Embedded,
		HTTPClient:   &http.Client{Transport: transport, CheckRedirect: noRedirect},
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return key, nil
		}),
		Retryer: retry.NewStandard(func(o *retry.StandardOptions) {
			o.MaxAttempts, o.MaxBackoff = 3, backoff
			// The default is a quota of retries over all calls; while S3 is away
			// it is soon used up, and its excuse hides why a call failed.
			o.RateLimiter = ratelimit.None
		}),
		// Checksums beyond what the operation needs are refused by some stores.
		RequestChecksumCalculation:                aws.RequestChecksumCalculationWhenRequired,
		ResponseChecksumValidation:                aws.ResponseChecksumValidationWhenRequired,
		DisableLogOutputChecksumValidationSkipped: true,
	}
	if cfg.Endpoint != "" {
		o.BaseEndpoint = aws.String(cfg.Endpoint)
	}
	if cfg.Embedded {
		// The way is the loopback interface: a CRC is enough for the payload,
		// and SHA-256 in the signature costs both sides a fifth of a put.
		s.checksum = types.ChecksumAlgorithmCrc32
		o.ContinueHeaderThresholdBytes = -1
		o.APIOptions = append(o.APIOptions, v4.SwapComputePayloadSHA256ForUnsignedPayloadMiddleware)
	}
	s.client = s3.New(o)
	return s, nil
}

// noRedirect leaves redirects to the SDK, which would have to sign anew.
func noRedirect(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

// Close lets go of idle connections.
func (s *Store) Close() { s.idle.CloseIdleConnections() }

// bound limits a request that carries n bytes.
func (s *Store) bound(ctx context.Context, what string, n int64) (context.Context, context.CancelFunc) {
	limit := s.base + time.Duration(n/s.rate)*time.Second
	return context.WithTimeoutCause(ctx, limit, fmt.Errorf("%s: S3 took longer than %v", what, limit))
}

// because prefers the reason why ctx ended over what that did to a request.
func because(ctx context.Context, err error) error {
	if err != nil && ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

// EnsureBucket makes the bucket if it does not exist.
func (s *Store) EnsureBucket(ctx context.Context, bucket string) error {
	if why := badBucket(bucket); why != "" {
		return &AddressError{"s3://" + bucket, why}
	}
	ctx, cancel := s.bound(ctx, "make bucket "+bucket, 0)
	defer cancel()
	_, err := s.client.HeadBucket(ctx, &s3.HeadBucketInput{Bucket: &bucket})
	if err == nil || status(err) != http.StatusNotFound {
		return describe("look for bucket "+bucket, because(ctx, err))
	}
	in := &s3.CreateBucketInput{Bucket: &bucket}
	if s.cfg.Region != "us-east-1" {
		in.CreateBucketConfiguration = &types.CreateBucketConfiguration{
			LocationConstraint: types.BucketLocationConstraint(s.cfg.Region),
		}
	}
	_, err = s.client.CreateBucket(ctx, in)
	if code(err) == "BucketAlreadyOwnedByYou" {
		return nil
	}
	return describe("make bucket "+bucket, because(ctx, err))
}

// Get opens an object from the byte offset from on; at or behind its end there
// is nothing to read. Reading fails when S3 sends nothing for a while.
func (s *Store) Get(ctx context.Context, uri string, from int64) (io.ReadCloser, error) {
	u, err := ParseURI(uri)
	if err != nil {
		return nil, err
	}
	in := &s3.GetObjectInput{Bucket: &u.Bucket, Key: &u.Key}
	if from > 0 {
		in.Range = aws.String(fmt.Sprintf("bytes=%d-", from))
	}
	ctx, cancel := context.WithCancelCause(ctx)
	guard := time.AfterFunc(s.base, func() {
		cancel(fmt.Errorf("get %s: S3 sent nothing for %v", uri, s.base))
	})
	out, err := s.client.GetObject(ctx, in)
	if err != nil {
		guard.Stop()
		err = because(ctx, err)
		cancel(nil)
		if status(err) == http.StatusRequestedRangeNotSatisfiable {
			return io.NopCloser(eof{}), nil
		}
		return nil, describe("get "+uri, err)
	}
	return &guarded{ctx: ctx, body: out.Body, guard: guard, idle: s.base, cancel: func() { cancel(nil) }}, nil
}

// guarded is a body whose source must not be silent for longer than idle.
type guarded struct {
	ctx    context.Context
	body   io.ReadCloser
	guard  *time.Timer
	idle   time.Duration
	cancel func()
}

func (g *guarded) Read(p []byte) (int, error) {
	g.guard.Reset(g.idle)
	n, err := g.body.Read(p)
	g.guard.Stop() // the reader may take its time
	if err != nil && err != io.EOF {
		err = because(g.ctx, err)
	}
	return n, err
}

func (g *guarded) Close() error {
	g.guard.Stop()
	defer g.cancel()
	return g.body.Close()
}

type eof struct{}

func (eof) Read([]byte) (int, error) { return 0, io.EOF }
