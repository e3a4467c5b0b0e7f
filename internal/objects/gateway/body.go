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

// document is how many bytes of a request's body will be read into memory; -1
// where that is not known before. An object's content, which goes to disk as it
// comes, is none of that.
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

// carriesContent tells PutObject, UploadPart and the upload of a form from the
// rest, as the router does.
func carriesContent(c fiber.Ctx) bool {
	bucket, key, err := target(c)
	if err != nil || bucket == "" || c.Get("X-Amz-Copy-Source") != "" {
		return false
	}
	query := c.Request().URI().QueryArgs()
	if c.Method() == http.MethodPost {
		// With a hash that the form's own fields do not cover it would be read to check that.
		return key == "" && !query.Has("delete") && c.Get("X-Amz-Content-Sha256") == "" &&
			strings.HasPrefix(strings.ToLower(c.Get("Content-Type")), fiber.MIMEMultipartForm)
	}
	return writesObject(c) || uploadsPart(c)
}

// uploadsPart tells UploadPart and UploadPartCopy from the rest.
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

// errStalled is S3's answer to a client that has not sent on for too long; SDKs
// try again.
var errStalled = s3err.APIError{
	Code:           "RequestTimeout",
	Description:    "Your socket connection to the server was not read from or written to within the timeout period.",
	HTTPStatusCode: http.StatusBadRequest,
}

// stalled replaces an error that has its cause in such a client.
func stalled(err error) error {
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return errStalled
	}
	return err
}
