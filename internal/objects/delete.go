package objects

import (
	"context"
	"net/http"

	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/ergane-dev/ergane"
)

// Delete removes an object. Where there is none, or no bucket, there is nothing to do.
func (s *Store) Delete(ctx context.Context, uri string, d ergane.Delivery) error {
	u, err := ParseURI(uri)
	if err != nil {
		return err
	}
	if u.Key == "" {
		return &AddressError{uri, "there is no key"}
	}
	in := &s3.DeleteObjectInput{Bucket: &u.Bucket, Key: &u.Key}
	if !s.cfg.Embedded {
		in.ExpectedBucketOwner = conditionsOf(d).owner
	}
	ctx, cancel := s.bound(ctx, "delete "+uri, 0)
	defer cancel()
	if _, err = s.client.DeleteObject(ctx, in); status(err) == http.StatusNotFound {
		return nil
	}
	return describe("delete "+uri, because(ctx, err))
}
