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

// obstacle says why no object can have this name now, if so: a file system
// cannot hold both "a" and "a/b". S3 can, and has no error for it; 409, which
// posix gives, makes Hadoop's s3a try for minutes.
func (s *store) obstacle(bucket, key string) error {
	conflict := func(why string) error {
		return s3err.APIError{Code: "InvalidRequest", Description: why, HTTPStatusCode: http.StatusBadRequest}
	}
	if fi, err := os.Lstat(filepath.Join(s.dir, bucket, key)); err == nil && fi.IsDir() && !strings.HasSuffix(key, "/") {
		return conflict(fmt.Sprintf("The embedded store cannot hold the object %q: there are objects below %q.", key, key+"/"))
	}
	for i, c := range key {
		if c != '/' {
			continue
		}
		if fi, err := os.Lstat(filepath.Join(s.dir, bucket, key[:i])); err == nil && !fi.IsDir() {
			return conflict(fmt.Sprintf("The embedded store cannot hold the object %q: there is an object %q.", key, key[:i]))
		}
	}
	return nil
}

// explain replaces an error that has its cause in an obstacle. posix gives
// "is a directory" also for a full disk, so the cause is looked for.
func (s *store) explain(bucket, key string, err error) error {
	switch code(err) {
	case "ObjectParentIsFile", "ExistingObjectIsDirectory":
		if why := s.obstacle(bucket, key); why != nil {
			return why
		}
		return fmt.Errorf("store %s/%s: %w", bucket, key, errors.New("no folder could be made"))
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

// storedEncoding is a Content-Encoding without aws-chunked, which is how a
// request travelled and not what the object is.
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
