package objects

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"golang.org/x/sync/errgroup"

	"github.com/ergane-dev/ergane"
)

const (
	partSize    = 8 << 20
	maxParts    = 10_000 // of S3
	partsAtOnce = 4
	// abortTimeout bounds the clean-up after a failed upload, which is done also
	// after the caller's context has ended.
	abortTimeout = 10 * time.Second
)

// Put stores size bytes of body as one object; when it returns nil, they are
// durable. It holds only a few buffers in memory, whatever the size. If body
// fails or is shorter than size, the error wraps body's own. A multipart upload
// that fails is aborted.
//
// S3 checks the bucket's owner and encrypts. Both are not sent to the embedded
// S3: it has one owner, with which workgroups are checked, and leaves encryption
// to the disk.
func (c *Client) Put(ctx context.Context, uri string, body io.ReaderAt, size int64, contentType string, d ergane.Delivery) error {
	u, err := ParseURI(uri)
	if err != nil {
		return err
	}
	if u.Key == "" {
		return &AddressError{uri, "there is no key"}
	}
	from := &source{r: body, size: size}
	up := upload{URI: u, contentType: contentType}
	if !c.cfg.Embedded {
		up.conditions = conditionsOf(d)
	}
	if size < partSize {
		err = c.putOnce(ctx, up, from)
	} else {
		err = c.putParts(ctx, up, from)
	}
	if bad := from.failure(); err != nil && bad != nil {
		return fmt.Errorf("put %s: read the content: %w", uri, bad)
	}
	return describe("put "+uri, err)
}

// An upload is what is sent with an object's content.
type upload struct {
	URI
	contentType string
	conditions
}

// conditions are a Delivery as S3's parameters.
type conditions struct {
	owner      *string
	encryption types.ServerSideEncryption
	kmsKey     *string
}

func conditionsOf(d ergane.Delivery) (c conditions) {
	if d.BucketOwner != "" {
		c.owner = &d.BucketOwner
	}
	if e := d.Encryption; e != nil {
		switch e.Option {
		case ergane.EncryptS3:
			c.encryption = types.ServerSideEncryptionAes256
		case ergane.EncryptKMS:
			c.encryption, c.kmsKey = types.ServerSideEncryptionAwsKms, &e.KmsKey
		}
	}
	return c
}

func (c *Client) putOnce(ctx context.Context, u upload, from *source) error {
	ctx, cancel := c.bound(ctx, "put "+u.String(), from.size)
	defer cancel()
	_, err := c.client.PutObject(ctx, &s3.PutObjectInput{
		Bucket: &u.Bucket, Key: &u.Key,
		Body:              io.NewSectionReader(from, 0, from.size),
		ContentLength:     &from.size,
		ContentType:       &u.contentType,
		ChecksumAlgorithm: c.checksum,

		ExpectedBucketOwner: u.owner, ServerSideEncryption: u.encryption, SSEKMSKeyId: u.kmsKey,
	})
	return because(ctx, err)
}

func (c *Client) putParts(ctx context.Context, u upload, from *source) (err error) {
	begin := &s3.CreateMultipartUploadInput{
		Bucket: &u.Bucket, Key: &u.Key, ContentType: &u.contentType, ChecksumAlgorithm: c.checksum,
		ExpectedBucketOwner: u.owner, ServerSideEncryption: u.encryption, SSEKMSKeyId: u.kmsKey,
	}
	created, err := within(ctx, c, "begin "+u.String(), 0, func(ctx context.Context) (*s3.CreateMultipartUploadOutput, error) {
		return c.client.CreateMultipartUpload(ctx, begin)
	})
	if err != nil {
		return err
	}
	defer func() {
		if err == nil {
			return
		}
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), abortTimeout)
		defer cancel()
		// Best effort: an S3 that is unreachable keeps the parts. The embedded one
		// removes uploads that nobody completes.
		_, _ = c.client.AbortMultipartUpload(ctx, &s3.AbortMultipartUploadInput{
			Bucket: &u.Bucket, Key: &u.Key, UploadId: created.UploadId, ExpectedBucketOwner: u.owner,
		})
	}()
	var mu sync.Mutex
	var done []types.CompletedPart // guarded by mu
	g, sending := errgroup.WithContext(ctx)
	g.SetLimit(partsAtOnce)
	length := partLength(from.size)
	for number, at := int32(1), int64(0); at < from.size && sending.Err() == nil; number, at = number+1, at+length {
		n := min(length, from.size-at)
		g.Go(func() error {
			out, err := within(sending, c, fmt.Sprintf("put part %d of %s", number, u), n, func(ctx context.Context) (*s3.UploadPartOutput, error) {
				return c.client.UploadPart(ctx, &s3.UploadPartInput{
					Bucket: &u.Bucket, Key: &u.Key, UploadId: created.UploadId, ExpectedBucketOwner: u.owner,
					PartNumber:        &number,
					Body:              io.NewSectionReader(from, at, n),
					ContentLength:     &n,
					ChecksumAlgorithm: c.checksum,
				})
			})
			if err != nil {
				return err
			}
			mu.Lock()
			defer mu.Unlock()
			done = append(done, types.CompletedPart{PartNumber: &number, ETag: out.ETag, ChecksumCRC32: out.ChecksumCRC32})
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return context.Cause(ctx)
	}
	slices.SortFunc(done, func(a, b types.CompletedPart) int { return cmp.Compare(*a.PartNumber, *b.PartNumber) })
	_, err = within(ctx, c, "complete "+u.String(), from.size, func(ctx context.Context) (*s3.CompleteMultipartUploadOutput, error) {
		return c.client.CompleteMultipartUpload(ctx, &s3.CompleteMultipartUploadInput{
			Bucket: &u.Bucket, Key: &u.Key, UploadId: created.UploadId, ExpectedBucketOwner: u.owner,
			MultipartUpload: &types.CompletedMultipartUpload{Parts: done},
			MpuObjectSize:   aws.Int64(from.size),
		})
	})
	return err
}

// within bounds one call for n bytes.
func within[T any](ctx context.Context, c *Client, what string, n int64, call func(context.Context) (T, error)) (T, error) {
	ctx, cancel := c.bound(ctx, what, n)
	defer cancel()
	out, err := call(ctx)
	return out, because(ctx, err)
}

// partLength grows with objects that would have too many parts.
func partLength(size int64) int64 {
	const step = 1 << 20
	return max(partSize, (size/maxParts/step+1)*step)
}

// source keeps the first error of the reader, which the HTTP client would hide.
// An end before size is an error, too.
type source struct {
	r    io.ReaderAt
	size int64

	mu  sync.Mutex
	err error // guarded by mu
}

func (s *source) ReadAt(p []byte, at int64) (int, error) {
	n, err := s.r.ReadAt(p, at)
	if errors.Is(err, io.EOF) && n < len(p) && at+int64(n) < s.size {
		err = fmt.Errorf("only %d of %d bytes are there: %w", at+int64(n), s.size, io.ErrUnexpectedEOF)
	}
	if err != nil && !errors.Is(err, io.EOF) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.err = cmp.Or(s.err, err)
	}
	return n, err
}

func (s *source) failure() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}
