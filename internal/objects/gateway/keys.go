package gateway

import (
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"unicode/utf8"

	"github.com/versity/versitygw/s3err"
)

const (
	maxKey = 1024
	// maxSegment leaves room in a file name of 255 bytes for what posix adds
	// while it replaces an object: a dot, ".sgwtmp." and 19 digits.
	maxSegment = 225
	// scratch is posix's own folder in every bucket, and part of the names of files
	// that it is about to rename.
	scratch = ".sgwtmp"
)

// CheckKey refuses keys that a file system cannot hold under their own name: the
// object would be listed under another key, or replace a file of posix. A slash
// at the end is allowed: it is a directory marker.
func CheckKey(key string) error {
	if len(key) > maxKey {
		return s3err.GetKeyTooLongErr(int64(len(key)), maxKey)
	}
	if !utf8.ValidString(key) || strings.ContainsRune(key, 0) {
		return badKey("a key must be UTF-8 text without NUL")
	}
	for segment := range strings.SplitSeq(strings.TrimSuffix(key, "/"), "/") {
		switch {
		case segment == "":
			return badKey(`the embedded S3 cannot hold keys with "//" or with a slash at the beginning`)
		case segment == "." || segment == "..":
			return badKey(`the embedded S3 cannot hold keys with "." or ".." between slashes`)
		case len(segment) > maxSegment:
			return s3err.APIError{
				Code:           "KeyTooLongError",
				Description:    fmt.Sprintf("The embedded S3 takes at most %d bytes between two slashes of a key.", maxSegment),
				HTTPStatusCode: http.StatusBadRequest,
			}
		case segment == scratch || strings.Contains(segment, scratch+"."):
			return badKey(`the embedded S3 reserves names with "` + scratch + `" for itself`)
		}
	}
	return nil
}

func badKey(why string) error {
	return s3err.APIError{Code: "InvalidArgument", Description: "Invalid object key: " + why + ".", HTTPStatusCode: http.StatusBadRequest}
}

// uploadID is the form of posix's upload ids, which it uses as file names
// without a check.
var uploadID = regexp.MustCompile(`^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`)
