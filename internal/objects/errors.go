package objects

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/smithy-go"
)

// Permanent reports whether a retry cannot help unless somebody changes
// something: the bucket does not exist, access is denied, S3 refuses the name.
// It is false for nil and for errors that are not S3's.
func Permanent(err error) bool {
	if _, ok := errors.AsType[*AddressError](err); ok {
		return true
	}
	switch code(err) {
	case "":
		return false
	case "RequestTimeout", "BadDigest", "IncompleteBody", "XAmzContentSHA256Mismatch", "NoSuchUpload", "InvalidPart", "RequestTimeTooSkewed":
		return false // of one attempt, or of a wrong clock
	}
	st := status(err)
	return st >= 300 && st < 500 && st != http.StatusRequestTimeout && st != http.StatusConflict && st != http.StatusTooManyRequests
}

// Permanent is the function of that name, for callers that have a Client as an interface.
func (c *Client) Permanent(err error) bool { return Permanent(err) }

// code is S3's error code, or empty if S3 did not answer.
func code(err error) string {
	if e, ok := errors.AsType[smithy.APIError](err); ok {
		return e.ErrorCode()
	}
	return ""
}

func status(err error) int {
	if e, ok := errors.AsType[*awshttp.ResponseError](err); ok {
		return e.HTTPStatusCode()
	}
	return 0
}

// describe replaces the SDK's text, which begins with operation, attempts and
// ids, by a sentence for people.
func describe(what string, err error) error {
	if err == nil {
		return nil
	}
	if said := sentence(err); said != "" {
		return &s3Error{what + ": " + said, err}
	}
	return fmt.Errorf("%s: %w", what, err)
}

// sentence says what S3 answered, or why it did not; empty for other errors.
func sentence(err error) string {
	if e, ok := errors.AsType[smithy.APIError](err); ok && e.ErrorMessage() != "" {
		return fmt.Sprintf("S3 answers %s: %s", e.ErrorCode(), e.ErrorMessage())
	}
	if st := status(err); st != 0 {
		return strings.TrimSpace(fmt.Sprintf("S3 answers %d %s", st, http.StatusText(st)))
	}
	if e, ok := errors.AsType[*url.Error](err); ok {
		return "S3 cannot be reached: " + strings.TrimPrefix(e.Err.Error(), "net/http: HTTP/1.x transport connection broken: ")
	}
	return ""
}

// s3Error shows the sentence and keeps the SDK's error in the chain.
type s3Error struct {
	sentence string
	err      error
}

func (e *s3Error) Error() string { return e.sentence }
func (e *s3Error) Unwrap() error { return e.err }
