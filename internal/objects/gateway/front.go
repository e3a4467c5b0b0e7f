package gateway

import (
	"net"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"

	"github.com/gofiber/fiber/v3"
	"github.com/valyala/fasthttp"
	"github.com/versity/versitygw/s3api/controllers"
	"github.com/versity/versitygw/s3api/middlewares"
	"github.com/versity/versitygw/s3err"

	"github.com/ergane-dev/ergane/internal/conns"
)

// healthPath cannot be a bucket's: bucket names have at least three characters.
const healthPath = "/-/health"

// health answers with the process id: it says which process listens.
func health(c fiber.Ctx) error { return c.SendString(strconv.Itoa(os.Getpid())) }

// front sees every request before versitygw does.
type front struct {
	root     middlewares.RootUserConfig
	accounts *accounts
	slots    *slots
}

func (f *front) handler() fiber.Handler {
	return controllers.WrapMiddleware(func(c fiber.Ctx) error {
		if err := checkNames(c); err != nil {
			return err
		}
		length, err := document(c)
		if err != nil {
			return err
		}
		if writesObject(c) || sparkLists(c) {
			c.Locals(makesBucket{}, true)
		}
		key, err := f.settle(c)
		if err != nil {
			return err
		}
		if err := f.admit(c, key, length); err != nil {
			return err
		}
		if length < 0 {
			return readDocument(c)
		}
		return nil
	}, nil, nil)
}

// admit takes a slot for a request of the key that has signed it; empty means no
// key. The slot is free again when the answer is sent.
func (f *front) admit(c fiber.Ctx, key string, length int64) error {
	holder := key
	if bucket, _, _ := target(c); bucket == ProbeBucket {
		if key != f.root.Access {
			return s3err.GetAPIError(s3err.ErrAccessDenied)
		}
		holder = prober
	}
	if length < 0 {
		length = maxDocument
	}
	leave, ok := f.slots.enter(holder, length)
	if !ok {
		return s3err.GetAPIError(s3err.ErrSlowDown)
	}
	conns.Of(c.RequestCtx().Conn()).Begin(key != "", leave)
	return nil
}

// rest ends the request of a connection when its answer is sent.
func rest(c net.Conn, state fasthttp.ConnState) {
	if state == fasthttp.StateIdle {
		conns.Of(c).Rest()
	}
}

// checkNames refuses keys and upload ids that must not become file names. A read
// of such a key is answered with NoSuchKey.
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

// sparkLists reports whether the request is Spark's check whether a path exists,
// before it writes there. Spark would give up if the bucket did not exist.
func sparkLists(c fiber.Ctx) bool {
	bucket, key, err := target(c)
	return err == nil && bucket != "" && key == "" && c.Method() == http.MethodGet &&
		c.Query("list-type") == "2" && strings.HasPrefix(c.Get("User-Agent"), "Hadoop ")
}

// writesObject reports whether the request is a PutObject, CopyObject or
// CreateMultipartUpload. Its signature is not checked yet.
func writesObject(c fiber.Ctx) bool {
	if _, key, err := target(c); err != nil || key == "" {
		return false
	}
	query := c.Request().URI().QueryArgs()
	switch c.Method() {
	case http.MethodPost:
		return query.Has("uploads")
	case http.MethodPut:
		return !describesObject(c) && !query.Has("uploadId") && !query.Has("partNumber")
	}
	return false
}

// describesObject reports whether the request is about an object's tags,
// retention, legal hold or ACL, and not about its content.
func describesObject(c fiber.Ctx) bool {
	query := c.Request().URI().QueryArgs()
	return query.Has("tagging") || query.Has("retention") || query.Has("legal-hold") || query.Has("acl")
}
