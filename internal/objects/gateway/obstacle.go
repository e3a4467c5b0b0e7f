package gateway

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/versity/versitygw/s3err"
)

// obstacle returns why no object can have this name now, or nil: a file system
// cannot hold both "a" and "a/b". S3 can, and has no error for it; on posix's 409
// Hadoop's s3a retries for minutes.
func (p *durablePosix) obstacle(bucket, key string) error {
	conflict := func(why string) error {
		return s3err.APIError{Code: "InvalidRequest", Description: why, HTTPStatusCode: http.StatusBadRequest}
	}
	if fi, err := os.Lstat(filepath.Join(p.dir, bucket, key)); err == nil && fi.IsDir() && !strings.HasSuffix(key, "/") {
		return conflict(fmt.Sprintf("The embedded S3 cannot hold the object %q: there are objects below %q.", key, key+"/"))
	}
	for i, c := range key {
		if c != '/' {
			continue
		}
		if fi, err := os.Lstat(filepath.Join(p.dir, bucket, key[:i])); err == nil && !fi.IsDir() {
			return conflict(fmt.Sprintf("The embedded S3 cannot hold the object %q: there is an object %q.", key, key[:i]))
		}
	}
	return nil
}

// explain replaces an error that an obstacle caused. It looks for the obstacle,
// because posix returns these errors for a full disk, too.
func (p *durablePosix) explain(bucket, key string, err error) error {
	switch code(err) {
	case "ObjectParentIsFile", "ExistingObjectIsDirectory":
		if why := p.obstacle(bucket, key); why != nil {
			return why
		}
		return fmt.Errorf("store %s/%s: %w", bucket, key, errors.New("no folder could be created"))
	}
	return err
}

// code is the S3 error code of err, or empty.
func code(err error) string {
	if e, ok := errors.AsType[s3err.S3Error](err); ok {
		return e.BaseError().Code
	}
	return ""
}

// storedEncoding is a Content-Encoding without aws-chunked, which describes the
// request and not the object.
func storedEncoding(sent *string) *string {
	if sent == nil {
		return nil
	}
	kept := slices.DeleteFunc(strings.Split(*sent, ","), func(e string) bool {
		return strings.TrimSpace(e) == "aws-chunked"
	})
	stored := strings.TrimSpace(strings.Join(kept, ","))
	return &stored
}
