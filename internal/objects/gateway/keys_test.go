package gateway_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go"
)

func wantError(t *testing.T, err error, status int, code string) {
	t.Helper()
	if err == nil {
		t.Errorf("no error and not %d %s", status, code)
		return
	}
	got := 0
	if e, ok := errors.AsType[*awshttp.ResponseError](err); ok {
		got = e.HTTPStatusCode()
	}
	gotCode := ""
	if e, ok := errors.AsType[smithy.APIError](err); ok {
		gotCode = e.ErrorCode()
	}
	if got != status || gotCode != code {
		t.Errorf("%d %s and not %d %s: %v", got, gotCode, status, code, err)
	}
}

func TestKeysThatTheFileSystemCannotHoldAreRefused(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	c := s.client(t, s.start(t, nil).Endpoint(), nil)
	if err := put(t, c, "bucket", "there", "x"); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct{ key, code string }{
		{"a//b", "InvalidArgument"},
		{"a/./b", "InvalidArgument"},
		{"a/../there", "InvalidArgument"},
		{"..", "InvalidArgument"},
		{".sgwtmp/x", "InvalidArgument"},
		{"a/.sgwtmp", "InvalidArgument"},
		{"a/.b.sgwtmp.1", "InvalidArgument"},
		{"a/" + strings.Repeat("x", 226), "KeyTooLongError"},
		{strings.Repeat("12345678/", 114), "KeyTooLongError"},
	} {
		wantError(t, put(t, c, "bucket", tc.key, "x"), 400, tc.code)
		_, err := get(t, c, "bucket", tc.key)
		wantError(t, err, 404, "NoSuchKey")
		_, err = c.CopyObject(t.Context(), &s3.CopyObjectInput{Bucket: aws.String("bucket"), Key: aws.String("copy"), CopySource: aws.String("bucket/" + tc.key)})
		wantError(t, err, 404, "NoSuchKey")
		out, err := c.DeleteObjects(t.Context(), &s3.DeleteObjectsInput{
			Bucket: aws.String("bucket"), Delete: &types.Delete{Objects: []types.ObjectIdentifier{{Key: &tc.key}}},
		})
		if err != nil || len(out.Errors) != 0 || len(out.Deleted) != 1 {
			t.Errorf("delete of %q: %+v, %v", tc.key, out, err)
		}
	}
	if got, err := get(t, c, "bucket", "there"); got != "x" || err != nil {
		t.Errorf("the object that .. led to: %q, %v", got, err)
	}
}

func TestOddKeysAreListedAsTheyWerePut(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	c := s.client(t, s.start(t, nil).Endpoint(), nil)
	keys := []string{
		"with space", "plus+plus", "100%", "a=b/c=d/part-00000-1234.snappy.parquet", "äöü/日本", "q?x=1", "hash#1", "semi;colon",
		"it's", "a&b", "_temporary/0/_SUCCESS", ".hidden/.x.crc", strings.Repeat("x", 225), "back\\slash", "%2F", "..a/b..", "CaSe", "case",
	}
	for _, key := range keys {
		for _, body := range []string{"old", key} { // the second one replaces the first
			if err := put(t, c, "bucket", key, body); err != nil {
				t.Errorf("%q: %v", key, err)
			}
		}
		if got, err := get(t, c, "bucket", key); got != key || err != nil {
			t.Errorf("%q: got %q, %v", key, got, err)
		}
	}
	out, err := c.ListObjectsV2(t.Context(), &s3.ListObjectsV2Input{Bucket: aws.String("bucket")})
	if err != nil {
		t.Fatal(err)
	}
	if len(out.Contents) != len(keys) {
		t.Errorf("%d of %d keys are listed", len(out.Contents), len(keys))
	}
}

func TestAnObjectBelowAnObjectIsABadRequest(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	c := s.client(t, s.start(t, nil).Endpoint(), nil)
	if err := put(t, c, "bucket", "file", "x"); err != nil {
		t.Fatal(err)
	}
	if err := put(t, c, "bucket", "dir/file", "x"); err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{"file/below", "file/far/below", "file/", "dir"} {
		wantError(t, put(t, c, "bucket", key, ""), 400, "InvalidRequest")
		_, err := c.CopyObject(t.Context(), &s3.CopyObjectInput{Bucket: aws.String("bucket"), Key: &key, CopySource: aws.String("bucket/file")})
		if key == "file/" {
			if err == nil {
				t.Error("copied to file/")
			}
		} else {
			wantError(t, err, 400, "InvalidRequest")
			_, err = c.CreateMultipartUpload(t.Context(), &s3.CreateMultipartUploadInput{Bucket: aws.String("bucket"), Key: &key})
			wantError(t, err, 400, "InvalidRequest")
		}
	}
	complete, _ := upload(t, c, "bucket", "late")
	if err := put(t, c, "bucket", "late/below", "x"); err != nil {
		t.Fatal(err)
	}
	_, err := c.CompleteMultipartUpload(t.Context(), complete)
	wantError(t, err, 400, "InvalidRequest")
}

func TestBucketsAreCreatedWithTheirFirstObject(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	c := s.client(t, s.start(t, nil).Endpoint(), nil)
	_, err := get(t, c, "by-put", "key")
	wantError(t, err, 404, "NoSuchBucket")
	_, err = c.ListObjectsV2(t.Context(), &s3.ListObjectsV2Input{Bucket: aws.String("by-put")})
	wantError(t, err, 404, "NoSuchBucket")
	_, err = c.HeadBucket(t.Context(), &s3.HeadBucketInput{Bucket: aws.String("by-put")})
	wantError(t, err, 404, "NotFound")
	wantError(t, put(t, c, "Not_A_Name", "key", "x"), 400, "InvalidBucketName")

	if err := put(t, c, "by-put", "key", "x"); err != nil {
		t.Fatal(err)
	}
	if _, err := c.CreateMultipartUpload(t.Context(), &s3.CreateMultipartUploadInput{Bucket: aws.String("by-upload"), Key: aws.String("key")}); err != nil {
		t.Fatal(err)
	}
	_, err = c.CopyObject(t.Context(), &s3.CopyObjectInput{Bucket: aws.String("by-copy"), Key: aws.String("key"), CopySource: aws.String("by-put/key")})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.CreateBucket(t.Context(), &s3.CreateBucketInput{Bucket: aws.String("by-name")}); err != nil {
		t.Fatal(err)
	}
	out, err := c.ListBuckets(t.Context(), &s3.ListBucketsInput{})
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, b := range out.Buckets {
		names = append(names, *b.Name)
	}
	if got := strings.Join(names, " "); got != "by-copy by-name by-put by-upload" {
		t.Errorf("buckets are %q", got)
	}
	anonymous := s.client(t, *c.Options().BaseEndpoint, func(o *s3.Options) { o.Credentials = aws.AnonymousCredentials{} })
	if err := put(t, anonymous, "by-nobody", "key", "x"); err == nil {
		t.Error("a put without a signature was taken")
	}
	_, err = c.HeadBucket(t.Context(), &s3.HeadBucketInput{Bucket: aws.String("by-nobody")})
	wantError(t, err, 404, "NotFound")
}

func TestCopiesAndDeletions(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	c := s.client(t, s.start(t, nil).Endpoint(), nil)
	large, want := upload(t, c, "bucket", "_temporary/0/part-0")
	if _, err := c.CompleteMultipartUpload(t.Context(), large); err != nil {
		t.Fatal(err)
	}
	_, err := c.CopyObject(t.Context(), &s3.CopyObjectInput{Bucket: aws.String("bucket"), Key: aws.String("part-0"), CopySource: aws.String("bucket/_temporary/0/part-0")})
	if err != nil {
		t.Fatal(err)
	}
	begun, err := c.CreateMultipartUpload(t.Context(), &s3.CreateMultipartUploadInput{Bucket: aws.String("bucket"), Key: aws.String("part-1")})
	if err != nil {
		t.Fatal(err)
	}
	part, err := c.UploadPartCopy(t.Context(), &s3.UploadPartCopyInput{
		Bucket: aws.String("bucket"), Key: aws.String("part-1"), UploadId: begun.UploadId, PartNumber: aws.Int32(1),
		CopySource: aws.String("bucket/_temporary/0/part-0"), CopySourceRange: aws.String("bytes=0-9"),
	})
	if err != nil {
		t.Fatal(err)
	}
	_, err = c.CompleteMultipartUpload(t.Context(), &s3.CompleteMultipartUploadInput{
		Bucket: aws.String("bucket"), Key: aws.String("part-1"), UploadId: begun.UploadId,
		MultipartUpload: &types.CompletedMultipartUpload{Parts: []types.CompletedPart{{
			PartNumber: aws.Int32(1), ETag: part.CopyPartResult.ETag, ChecksumCRC32: part.CopyPartResult.ChecksumCRC32,
		}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	if got, err := get(t, c, "bucket", "part-0"); err != nil || !bytes.Equal([]byte(got), want) {
		t.Errorf("the copy has %d bytes, error %v", len(got), err)
	}
	if got, err := get(t, c, "bucket", "part-1"); err != nil || got != string(want[:10]) {
		t.Errorf("the copied part is %q, error %v", got, err)
	}
	out, err := c.DeleteObjects(t.Context(), &s3.DeleteObjectsInput{Bucket: aws.String("bucket"), Delete: &types.Delete{Objects: []types.ObjectIdentifier{
		{Key: aws.String("_temporary/0/part-0")}, {Key: aws.String("part-0")}, {Key: aws.String("never")},
	}}})
	if err != nil || len(out.Deleted) != 3 {
		t.Errorf("%+v, %v", out, err)
	}
	if _, err := c.DeleteObject(t.Context(), &s3.DeleteObjectInput{Bucket: aws.String("bucket"), Key: aws.String("part-1")}); err != nil {
		t.Error(err)
	}
	if _, err := c.DeleteBucket(t.Context(), &s3.DeleteBucketInput{Bucket: aws.String("bucket")}); err != nil {
		t.Errorf("the bucket is not empty: %v", err)
	}
}
