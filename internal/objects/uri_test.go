package objects_test

import (
	"errors"
	"testing"

	"github.com/ergane-dev/ergane/internal/objects"
)

func TestParseURI(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]objects.URI{
		"s3://bucket":              {Bucket: "bucket"},
		"s3://bucket/":             {Bucket: "bucket"},
		"s3://my.bucket-1/a b/c//": {Bucket: "my.bucket-1", Key: "a b/c//"},
	} {
		if got, err := objects.ParseURI(in); got != want || err != nil {
			t.Errorf("%q: %+v, %v", in, got, err)
		}
	}
	for _, in := range []string{
		"", "bucket/key", "s3:/bucket", "S3://bucket", "s3a://bucket/key", "s3://", "s3:///key", "s3://ab/key", "s3://Bucket/key",
		"s3://-bucket/key", "s3://buc_ket", "s3://bucket//key", "s3://" + string(make([]byte, 64)),
	} {
		_, err := objects.ParseURI(in)
		if _, ok := errors.AsType[*objects.AddressError](err); !ok {
			t.Errorf("%q: error is %v", in, err)
		}
	}
}

func TestAddressesBelow(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"s3://bucket": "s3://bucket/name", "s3://bucket/a": "s3://bucket/a/name", "s3://bucket/a/": "s3://bucket/a/name",
	} {
		u, err := objects.ParseURI(in)
		if err != nil {
			t.Fatal(err)
		}
		if got := u.Below("name").String(); got != want {
			t.Errorf("%s: %s", in, got)
		}
	}
}
