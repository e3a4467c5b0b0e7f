package gateway

import (
	"errors"
	"io"
	"net/http"
	"os"
	"strings"

	"github.com/gofiber/fiber/v3"
	"github.com/versity/versitygw/s3err"
)

// document is how many bytes of a request's body will be read into memory; -1 if
// that is not known before. It is 0 for an object's content, which is written to
// disk as it arrives.
func document(c fiber.Ctx) (int64, error) {
	length := int64(c.Request().Header.ContentLength())
	switch {
	case carriesContent(c) || length == -2: // it has no body
		return 0, nil
	case length > maxDocument:
		return 0, s3err.GetEntityTooLargeErr(length, maxDocument)
	}
	return length, nil
}

// carriesContent reports whether the request is a PutObject, an UploadPart or the
// upload of a form, by the router's rules.
func carriesContent(c fiber.Ctx) bool {
	bucket, key, err := target(c)
	if err != nil || bucket == "" || c.Get("X-Amz-Copy-Source") != "" {
		return false
	}
	query := c.Request().URI().QueryArgs()
	if c.Method() == http.MethodPost {
		// A form with a hash in its header would be read into memory to check the hash.
		return key == "" && !query.Has("delete") && c.Get("X-Amz-Content-Sha256") == "" &&
			strings.HasPrefix(strings.ToLower(c.Get("Content-Type")), fiber.MIMEMultipartForm)
	}
	return writesObject(c) || uploadsPart(c)
}

// uploadsPart reports whether the request is an UploadPart or UploadPartCopy.
func uploadsPart(c fiber.Ctx) bool {
	_, key, err := target(c)
	query := c.Request().URI().QueryArgs()
	return err == nil && key != "" && c.Method() == http.MethodPut && !describesObject(c) &&
		query.Has("uploadId") && query.Has("partNumber")
}

// readDocument reads a body whose length is not known before.
func readDocument(c fiber.Ctx) error {
	stream := c.Request().BodyStream()
	if stream == nil {
		return nil
	}
	body, err := io.ReadAll(io.LimitReader(stream, maxDocument+1))
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		return errStalled
	case err != nil:
		return s3err.GetAPIError(s3err.ErrIncompleteBody)
	case len(body) > maxDocument:
		c.Response().Header.SetConnectionClose() // the rest is not read
		return s3err.GetEntityTooLargeErr(int64(len(body)), maxDocument)
	}
	c.Request().SetBody(body)
	c.Request().Header.SetContentLength(len(body))
	return nil
}

// errStalled is S3's answer to a client that has paused for too long; SDKs try
// again.
var errStalled = s3err.APIError{
	Code:           "RequestTimeout",
	Description:    "Your socket connection to the server was not read from or written to within the timeout period.",
	HTTPStatusCode: http.StatusBadRequest,
}

// stalled replaces an error that such a client caused.
func stalled(err error) error {
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return errStalled
	}
	return err
}
