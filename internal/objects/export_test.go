package objects

import (
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
)

// SetPatience is how long a request without a payload may take.
func (s *Store) SetPatience(d time.Duration) { s.base = d }

// PartLength is how an object is cut.
var PartLength = partLength

// Hurry takes the pauses between the SDK's attempts away.
func (s *Store) Hurry() {
	o := s.client.Options()
	o.Retryer = hurried{o.Retryer.(aws.RetryerV2)}
	s.client = s3.New(o)
}

type hurried struct{ aws.RetryerV2 }

func (hurried) RetryDelay(int, error) (time.Duration, error) { return 0, nil }
