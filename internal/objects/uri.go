package objects

import (
	"fmt"
	"strings"
)

// URI is the parts of an s3:// address. Key does not begin with a slash and may
// be empty.
type URI struct {
	Bucket string
	Key    string
}

// String is the s3:// address.
func (u URI) String() string {
	if u.Key == "" {
		return "s3://" + u.Bucket
	}
	return "s3://" + u.Bucket + "/" + u.Key
}

// Below is the address of name under u, with exactly one slash between.
func (u URI) Below(name string) URI {
	if u.Key == "" {
		return URI{u.Bucket, name}
	}
	return URI{u.Bucket, strings.TrimSuffix(u.Key, "/") + "/" + name}
}

// ParseURI takes s3://bucket and s3://bucket/key. The error is an *AddressError.
func ParseURI(s string) (URI, error) {
	rest, ok := strings.CutPrefix(s, "s3://")
	if !ok {
		return URI{}, &AddressError{s, "it must begin with s3://"}
	}
	bucket, key, _ := strings.Cut(rest, "/")
	if why := badBucket(bucket); why != "" {
		return URI{}, &AddressError{s, why}
	}
	if strings.HasPrefix(key, "/") {
		return URI{}, &AddressError{s, "there is an empty name after the bucket"}
	}
	return URI{bucket, key}, nil
}

// badBucket says what is wrong with a bucket's name by S3's rules ("Bucket
// naming rules" in its user guide); empty if nothing is.
func badBucket(name string) string {
	if len(name) < 3 || len(name) > 63 {
		return "a bucket's name has 3 to 63 characters"
	}
	for i, c := range []byte(name) {
		alphanumeric := 'a' <= c && c <= 'z' || '0' <= c && c <= '9'
		inner := i > 0 && i < len(name)-1
		if !alphanumeric && !(inner && (c == '-' || c == '.')) {
			return "a bucket's name has lower-case letters, digits, hyphens and dots, and begins and ends with a letter or digit"
		}
	}
	return ""
}

// AddressError says why an s3:// address cannot be used.
type AddressError struct {
	Address string
	Why     string
}

func (e *AddressError) Error() string {
	return fmt.Sprintf("%q is not an S3 address: %s", e.Address, e.Why)
}
