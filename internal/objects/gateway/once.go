package gateway

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"regexp"

	"github.com/versity/versitygw/s3err"
	"github.com/versity/versitygw/s3response"
)

var deltaCommit = regexp.MustCompile(`(?:^|/)_delta_log/[0-9]{20}\.json$`)

// isDeltaCommit tells whether a key is a commit in the log of a Delta table.
// Such a file is never written twice
// (https://github.com/delta-io/delta/blob/master/PROTOCOL.md#delta-log-entries),
// and on S3 the writers cannot see to that: each looks whether the file is
// there, and then writes it.
func isDeltaCommit(key string) bool { return deltaCommit.MatchString(key) }

// putOnce stores an object unless there is another one of its name. The same
// content again is no error: a client that has heard no answer asks again.
func (s *store) putOnce(ctx context.Context, in s3response.PutObjectInput) (s3response.PutObjectOutput, error) {
	turn := &s.writing[maphash.String(s.seed, *in.Bucket+"/"+*in.Key)%uint64(len(s.writing))]
	turn.Lock()
	defer turn.Unlock()
	f, err := os.Open(filepath.Join(s.dir, *in.Bucket, *in.Key))
	if errors.Is(err, fs.ErrNotExist) {
		return s.put(ctx, in)
	}
	if err != nil {
		return s3response.PutObjectOutput{}, fmt.Errorf("look for the commit: %w", err)
	}
	defer f.Close()
	same, err := sameContent(in.Body, f)
	if err != nil {
		return s3response.PutObjectOutput{}, err
	}
	if !same {
		return s3response.PutObjectOutput{}, s3err.APIError{
			Code:           "PreconditionFailed",
			Description:    fmt.Sprintf("Another writer was first with this commit of the Delta table, %q: read the table again and repeat the change.", *in.Key),
			HTTPStatusCode: http.StatusBadRequest, // s3a repeats what 409 and 412 refuse
		}
	}
	etag, err := s.attributes.RetrieveAttribute(nil, *in.Bucket, *in.Key, "etag")
	if err != nil {
		return s3response.PutObjectOutput{}, fmt.Errorf("look for the commit's ETag: %w", err)
	}
	return s3response.PutObjectOutput{ETag: string(etag)}, s.commit(*in.Bucket, *in.Key)
}

// sameContent reads both to the end, because at the end of a request's body its signature is checked.
func sameContent(sent, stored io.Reader) (bool, error) {
	if sent == nil {
		sent = http.NoBody
	}
	a, b := bufio.NewReader(sent), bufio.NewReader(stored)
	same := true
	for {
		x, errX := a.ReadByte()
		if errX != nil && errX != io.EOF {
			return false, errX
		}
		y, errY := b.ReadByte()
		if errY != nil && errY != io.EOF {
			return false, fmt.Errorf("read the commit: %w", errY)
		}
		switch {
		case errX == io.EOF:
			return same && errY == io.EOF, nil
		case errY == io.EOF || x != y:
			same = false
		}
	}
}
