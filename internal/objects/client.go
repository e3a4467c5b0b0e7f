// Package objects stores results in S3, the embedded one (package gateway) or
// any other.
//
// A call is retried only a few times and within a fixed time. To try for longer
// is the caller's task; Permanent says of which errors it does not help.
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

// A Client puts, gets and deletes objects. It is safe for concurrent use.
type Client struct {
	client *s3.Client
	idle   *http.Transport
	cfg    Config
	// base and rate bound one request: base plus the time for its bytes at rate,
	// in bytes per second.
	base time.Duration
	rate int64
	// checksum is sent with every payload; empty for none.
	checksum types.ChecksumAlgorithm
}

// New makes a Client; it does not connect.
func New(cfg Config) (*Client, error) {
	if cfg.AccessKeyID == "" || cfg.Secret == "" {
		return nil, errors.New("S3: the access key id and the secret must both be given")
	}
	if cfg.Embedded && cfg.Endpoint == "" {
		return nil, errors.New("S3: the embedded S3 needs an endpoint")
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
	c := &Client{idle: transport, cfg: cfg, base: time.Minute, rate: 128 << 10}
	backoff := 2 * time.Second
	if cfg.Embedded {
		backoff = 200 * time.Millisecond
		transport.ResponseHeaderTimeout = 20 * time.Second
		c.base, c.rate = 20*time.Second, 4<<20
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
			// The default is a quota of retries over all calls. While S3 is
			// unreachable it is soon used up, and its error hides the cause.
			o.RateLimiter = ratelimit.None
		}),
		// Some S3 servers refuse checksums that the operation does not require.
		RequestChecksumCalculation:                aws.RequestChecksumCalculationWhenRequired,
		ResponseChecksumValidation:                aws.ResponseChecksumValidationWhenRequired,
		DisableLogOutputChecksumValidationSkipped: true,
	}
	if cfg.Endpoint != "" {
		o.BaseEndpoint = aws.String(cfg.Endpoint)
	}
	if cfg.Embedded {
		// On the loopback interface a CRC is enough for the payload; SHA-256 in
		// the signature would cost both sides a fifth of a put.
		c.checksum = types.ChecksumAlgorithmCrc32
		o.ContinueHeaderThresholdBytes = -1
		o.APIOptions = append(o.APIOptions, v4.SwapComputePayloadSHA256ForUnsignedPayloadMiddleware)
	}
	c.client = s3.New(o)
	return c, nil
}

// noRedirect leaves redirects to the SDK: they need a new signature.
func noRedirect(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

// Close closes idle connections.
func (c *Client) Close() { c.idle.CloseIdleConnections() }

// bound limits a request that carries n bytes.
func (c *Client) bound(ctx context.Context, what string, n int64) (context.Context, context.CancelFunc) {
	limit := c.base + time.Duration(n/c.rate)*time.Second
	return context.WithTimeoutCause(ctx, limit, fmt.Errorf("%s: S3 took longer than %v", what, limit))
}

// because returns the cause of ctx's end if err comes from that.
func because(ctx context.Context, err error) error {
	if err != nil && ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

// EnsureBucket creates the bucket if it does not exist.
func (c *Client) EnsureBucket(ctx context.Context, bucket string) error {
	if why := badBucket(bucket); why != "" {
		return &AddressError{"s3://" + bucket, why}
	}
	ctx, cancel := c.bound(ctx, "make bucket "+bucket, 0)
	defer cancel()
	_, err := c.client.HeadBucket(ctx, &s3.HeadBucketInput{Bucket: &bucket})
	if err == nil || status(err) != http.StatusNotFound {
		return describe("look for bucket "+bucket, because(ctx, err))
	}
	in := &s3.CreateBucketInput{Bucket: &bucket}
	if c.cfg.Region != "us-east-1" {
		in.CreateBucketConfiguration = &types.CreateBucketConfiguration{
			LocationConstraint: types.BucketLocationConstraint(c.cfg.Region),
		}
	}
	_, err = c.client.CreateBucket(ctx, in)
	if code(err) == "BucketAlreadyOwnedByYou" {
		return nil
	}
	return describe("make bucket "+bucket, because(ctx, err))
}

// Get opens an object at the byte offset from; at or after its end there is
// nothing to read. Reading fails when S3 sends nothing for a while.
func (c *Client) Get(ctx context.Context, uri string, from int64) (io.ReadCloser, error) {
	u, err := ParseURI(uri)
	if err != nil {
		return nil, err
	}
	in := &s3.GetObjectInput{Bucket: &u.Bucket, Key: &u.Key}
	if from > 0 {
		in.Range = aws.String(fmt.Sprintf("bytes=%d-", from))
	}
	ctx, cancel := context.WithCancelCause(ctx)
	guard := time.AfterFunc(c.base, func() {
		cancel(fmt.Errorf("get %s: S3 sent nothing for %v", uri, c.base))
	})
	out, err := c.client.GetObject(ctx, in)
	if err != nil {
		guard.Stop()
		err = because(ctx, err)
		cancel(nil)
		if status(err) == http.StatusRequestedRangeNotSatisfiable {
			return io.NopCloser(eof{}), nil
		}
		return nil, describe("get "+uri, err)
	}
	return &guarded{ctx: ctx, body: out.Body, guard: guard, idle: c.base, cancel: func() { cancel(nil) }}, nil
}

// guarded is a body whose sender must not pause for longer than idle.
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
