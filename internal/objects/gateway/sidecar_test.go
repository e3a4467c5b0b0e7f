package gateway_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
)

func TestAttributesLieInFilesWhereTheFileSystemHasNone(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	// A data dir that has begun with such files goes on with them.
	meta := filepath.Join(s.dir, "s3", "meta")
	if err := os.MkdirAll(meta, 0o700); err != nil {
		t.Fatal(err)
	}
	sup := s.start(t, nil)
	c := s.client(t, sup.Endpoint(), nil)
	for _, kind := range []string{"text/old", "text/new"} {
		_, err := c.PutObject(t.Context(), &s3.PutObjectInput{Bucket: aws.String("bucket"), Key: aws.String("a/key"), ContentType: &kind})
		if err != nil {
			t.Fatal(err)
		}
		head, err := c.HeadObject(t.Context(), &s3.HeadObjectInput{Bucket: aws.String("bucket"), Key: aws.String("a/key")})
		if err != nil || aws.ToString(head.ContentType) != kind {
			t.Errorf("%v, %v", head, err)
		}
	}
	complete, want := upload(t, c, "bucket", "a/large")
	restart(t, s, sup, func() {
		dir := uploadDir(t, s, "bucket", *complete.UploadId)
		relative, err := filepath.Rel(filepath.Join(s.dir, "s3", "data"), dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range []string{dir, filepath.Join(meta, relative)} {
			if err := os.Rename(path, path+".0123456789abcdef0123456789abcdef-2.inprogress"); err != nil {
				t.Fatal(err)
			}
		}
	})
	if _, err := c.CompleteMultipartUpload(t.Context(), complete); err != nil {
		t.Fatal(err)
	}
	if got, err := get(t, c, "bucket", "a/large"); err != nil || got != string(want) {
		t.Errorf("%d bytes, error %v", len(got), err)
	}
}
