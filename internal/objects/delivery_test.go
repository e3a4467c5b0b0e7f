package objects_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ergane-dev/ergane"
	"github.com/ergane-dev/ergane/internal/objects"
)

// recorder is an S3 that accepts everything and records the headers of uploads.
type recorder struct {
	mu   sync.Mutex
	seen map[string][]string // by kind of request; guarded by mu
}

func (r *recorder) ServeHTTP(w http.ResponseWriter, q *http.Request) {
	_, _ = io.Copy(io.Discard, q.Body)
	what, query := "put", q.URL.Query()
	switch {
	case query.Has("uploads"):
		what = "begin"
	case query.Has("partNumber"):
		what = "part"
	case query.Has("uploadId"):
		what = "complete"
	}
	r.mu.Lock()
	r.seen[what] = []string{q.Header.Get("X-Amz-Expected-Bucket-Owner"),
		q.Header.Get("X-Amz-Server-Side-Encryption"), q.Header.Get("X-Amz-Server-Side-Encryption-Aws-Kms-Key-Id")}
	r.mu.Unlock()
	w.Header().Set("ETag", `"e"`)
	switch what {
	case "begin":
		fmt.Fprint(w, "<InitiateMultipartUploadResult><UploadId>u</UploadId></InitiateMultipartUploadResult>")
	case "complete":
		fmt.Fprint(w, "<CompleteMultipartUploadResult/>")
	}
}

func TestOwnerAndEncryptionAreSentToS3(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		delivery ergane.Delivery
		want     []string // owner, encryption, key
	}{
		{ergane.Delivery{}, []string{"", "", ""}},
		{ergane.Delivery{BucketOwner: "123456789012"}, []string{"123456789012", "", ""}},
		{ergane.Delivery{Encryption: &ergane.Encryption{Option: "SSE_S3"}}, []string{"", "AES256", ""}},
		{ergane.Delivery{Encryption: &ergane.Encryption{Option: "SSE_KMS", KmsKey: "k"}}, []string{"", "aws:kms", "k"}},
	} {
		r := &recorder{seen: map[string][]string{}}
		srv := httptest.NewServer(r)
		s, err := objects.New(objects.Config{Endpoint: srv.URL, AccessKeyID: "A", Secret: "S", PathStyle: true})
		if err != nil {
			t.Fatal(err)
		}
		for _, size := range []int64{10, 9 << 20} {
			if err := s.Put(t.Context(), "s3://bucket/key", pattern{size}, size, "text/plain", c.delivery); err != nil {
				t.Errorf("%d bytes: %v", size, err)
			}
		}
		owner := []string{c.want[0], "", ""}
		want := map[string][]string{"put": c.want, "begin": c.want, "part": owner, "complete": owner}
		if diff := cmp.Diff(want, r.seen); diff != "" {
			t.Errorf("%+v (-want +got):\n%s", c.delivery, diff)
		}
		s.Close()
		srv.Close()
	}
}
