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

// isDeltaCommit reports whether a key is a commit in the log of a Delta table.
// Such a file must never be written twice
// (https://github.com/delta-io/delta/blob/master/PROTOCOL.md#delta-log-entries),
// and on S3 the writers cannot prevent that: each checks whether the file exists
// and then writes it.
func isDeltaCommit(key string) bool { return deltaCommit.MatchString(key) }

// putOnce stores an object unless another one has its key. The same content
// again is no error: a client that got no answer repeats the request. Writers
// take turns only when their content has arrived, so that none waits for a client
// that sends slowly.
func (p *durablePosix) putOnce(ctx context.Context, in s3response.PutObjectInput) (s3response.PutObjectOutput, error) {
	turn := &p.writing[maphash.String(p.seed, *in.Bucket+"/"+*in.Key)%uint64(len(p.writing))]
	locked := false
	defer func() {
		if locked {
			turn.Unlock()
		}
	}()
	same, again := false, errors.New("the commit is there")
	out, err := p.PutObjectWithPostFunc(ctx, in, func(sent *os.File) error {
		turn.Lock()
		locked = true
		stored, err := os.Open(filepath.Join(p.dir, *in.Bucket, *in.Key))
		if errors.Is(err, fs.ErrNotExist) {
			return sent.Sync()
		}
		if err != nil {
			return fmt.Errorf("look for the commit: %w", err)
		}
		defer stored.Close()
		if same, err = sameContent(sent, stored); err != nil {
			return err
		}
		return again
	})
	switch {
	case !errors.Is(err, again):
		return p.finish(in, out, err)
	case !same:
		return s3response.PutObjectOutput{}, s3err.APIError{
			Code:           "PreconditionFailed",
			Description:    fmt.Sprintf("Another writer was first with this commit of the Delta table, %q: read the table again and repeat the change.", *in.Key),
			HTTPStatusCode: http.StatusBadRequest, // s3a repeats what 409 and 412 refuse
		}
	}
	etag, err := p.attributes.RetrieveAttribute(nil, *in.Bucket, *in.Key, "etag")
	if err != nil {
		return s3response.PutObjectOutput{}, fmt.Errorf("look for the commit's ETag: %w", err)
	}
	return s3response.PutObjectOutput{ETag: string(etag)}, p.commit(*in.Bucket, *in.Key)
}

// sameContent compares two files from the beginning.
func sameContent(sent, stored *os.File) (bool, error) {
	if _, err := sent.Seek(0, io.SeekStart); err != nil {
		return false, fmt.Errorf("read what was sent: %w", err)
	}
	a, b := bufio.NewReader(sent), bufio.NewReader(stored)
	for {
		x, errX := a.ReadByte()
		y, errY := b.ReadByte()
		switch {
		case errX != nil && errX != io.EOF:
			return false, fmt.Errorf("read what was sent: %w", errX)
		case errY != nil && errY != io.EOF:
			return false, fmt.Errorf("read the commit: %w", errY)
		case errX != nil || errY != nil:
			return errX == errY, nil
		case x != y:
			return false, nil
		}
	}
}
