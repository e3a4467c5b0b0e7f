package gateway

import (
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"

	"github.com/gofiber/fiber/v3"
	"github.com/versity/versitygw/s3api/controllers"
	"github.com/versity/versitygw/s3api/middlewares"
	"github.com/versity/versitygw/s3err"
)

// healthPath cannot be a bucket's: their names have three characters at least.
const healthPath = "/-/health"

// health answers with the process id, so that who asks knows who listens.
func health(c fiber.Ctx) error { return c.SendString(strconv.Itoa(os.Getpid())) }

// front sees every request before versitygw does.
type front struct {
	root     middlewares.RootUserConfig
	accounts *accounts
}

func (f *front) handler() fiber.Handler {
	return controllers.WrapMiddleware(func(c fiber.Ctx) error {
		if err := checkNames(c); err != nil {
			return err
		}
		if writesObject(c) || sparkLists(c) {
			c.Locals(makesBucket{}, true)
		}
		return f.settle(c)
	}, nil, nil)
}

// checkNames refuses keys and upload ids that must not become file names. What
// cannot exist is answered as not being there when it is only read.
func checkNames(c fiber.Ctx) error {
	_, key, err := target(c)
	if err != nil {
		return s3err.GetAPIError(s3err.ErrInvalidURI)
	}
	if key != "" {
		if err := CheckKey(key); err != nil {
			if m := c.Method(); m == http.MethodGet || m == http.MethodHead {
				return s3err.GetAPIError(s3err.ErrNoSuchKey)
			}
			return err
		}
	}
	if source := c.Get("X-Amz-Copy-Source"); source != "" {
		path, _, _ := strings.Cut(source, "?versionId=")
		path, err := url.PathUnescape(path)
		if err != nil {
			return badKey("the copy source is not URL-encoded")
		}
		_, key, _ := strings.Cut(strings.TrimPrefix(path, "/"), "/")
		if CheckKey(key) != nil {
			return s3err.GetAPIError(s3err.ErrNoSuchKey)
		}
	}
	if id := c.Query("uploadId"); id != "" && !uploadID.MatchString(id) {
		return s3err.GetNoSuchUploadErr(id)
	}
	return nil
}

// target is the bucket and key of a request, decoded.
func target(c fiber.Ctx) (bucket, key string, err error) {
	path, err := url.PathUnescape(string(c.Request().URI().PathOriginal()))
	if err != nil {
		return "", "", err
	}
	bucket, key, _ = strings.Cut(strings.TrimPrefix(path, "/"), "/")
	return bucket, key, nil
}

// sparkLists is Spark looking whether a path exists, as it does before it
// writes there: in a bucket that does not exist it would give up.
func sparkLists(c fiber.Ctx) bool {
	bucket, key, err := target(c)
	return err == nil && bucket != "" && key == "" && c.Method() == http.MethodGet &&
		c.Query("list-type") == "2" && strings.HasPrefix(c.Get("User-Agent"), "Hadoop ")
}

// writesObject tells PutObject, CopyObject and CreateMultipartUpload from the
// rest. Whether the request is signed is not yet known.
func writesObject(c fiber.Ctx) bool {
	if _, key, err := target(c); err != nil || key == "" {
		return false
	}
	query := c.Request().URI().QueryArgs()
	switch c.Method() {
	case http.MethodPost:
		return query.Has("uploads")
	case http.MethodPut:
		for _, other := range []string{"tagging", "retention", "legal-hold", "acl", "uploadId", "partNumber"} {
			if query.Has(other) {
				return false
			}
		}
		return true
	}
	return false
}
