package objects

import (
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
)

// SetPatience sets how long a request without a payload may take.
func (c *Client) SetPatience(d time.Duration) { c.base = d }

// PartLength is the length of an object's parts.
var PartLength = partLength

// Hurry removes the pauses between the SDK's attempts.
func (c *Client) Hurry() {
	o := c.client.Options()
	o.Retryer = hurried{o.Retryer.(aws.RetryerV2)}
	c.client = s3.New(o)
}

type hurried struct{ aws.RetryerV2 }

func (hurried) RetryDelay(int, error) (time.Duration, error) { return 0, nil }
