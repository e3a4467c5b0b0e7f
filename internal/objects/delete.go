package objects

import (
	"context"
	"net/http"

	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/ergane-dev/ergane"
)

// Delete removes an object. A missing object or bucket is no error.
func (c *Client) Delete(ctx context.Context, uri string, d ergane.Delivery) error {
	u, err := ParseURI(uri)
	if err != nil {
		return err
	}
	if u.Key == "" {
		return &AddressError{uri, "there is no key"}
	}
	in := &s3.DeleteObjectInput{Bucket: &u.Bucket, Key: &u.Key}
	if !c.cfg.Embedded {
		in.ExpectedBucketOwner = conditionsOf(d).owner
	}
	ctx, cancel := c.bound(ctx, "delete "+uri, 0)
	defer cancel()
	if _, err = c.client.DeleteObject(ctx, in); status(err) == http.StatusNotFound {
		return nil
	}
	return describe("delete "+uri, because(ctx, err))
}
