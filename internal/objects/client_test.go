package objects_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/ergane-dev/ergane"
	"github.com/ergane-dev/ergane/internal/objects"
	"github.com/ergane-dev/ergane/internal/testkit"
)

// pattern is a body of any size that needs no memory and has no two equal parts.
type pattern struct{ size int64 }

func (p pattern) ReadAt(b []byte, at int64) (int, error) {
	n := int(max(0, min(int64(len(b)), p.size-at)))
	for i := range n {
		pos := at + int64(i)
		b[i] = byte(pos ^ pos>>8 ^ pos>>16*31)
	}
	if n < len(b) {
		return n, io.EOF
	}
	return n, nil
}

func read(t *testing.T, s *objects.Client, uri string, from int64) ([]byte, error) {
	t.Helper()
	r, err := s.Get(t.Context(), uri, from)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	return io.ReadAll(r)
}

func TestWhatIsPutCanBeGot(t *testing.T) {
	t.Parallel()
	s, _, _ := embedded(t)
	const part = 8 << 20
	for _, size := range []int64{0, 1, 100_000, part - 1, part, part + 1, 3*part + 17} {
		want := make([]byte, size)
		if _, err := (pattern{size}).ReadAt(want, 0); err != nil {
			t.Fatal(err)
		}
		uri := "s3://ergane-results/primary/session/some session/stdout"
		if err := s.Put(t.Context(), uri, pattern{size}, size, "text/plain", ergane.Delivery{}); err != nil {
			t.Fatalf("%d bytes: %v", size, err)
		}
		for _, from := range []int64{0, size / 2, size, size + 5} {
			got, err := read(t, s, uri, from)
			if err != nil || !bytes.Equal(got, want[min(from, size):]) {
				t.Errorf("%d bytes from %d: got %d, error %v", size, from, len(got), err)
			}
		}
	}
}

func TestObjectsHaveAtMostTenThousandParts(t *testing.T) {
	t.Parallel()
	for _, size := range []int64{8 << 20, 1 << 30, 80_000 << 20, 80_001 << 20, 5 << 40} {
		if n := objects.PartLength(size); n < 8<<20 || (size+n-1)/n > 10_000 {
			t.Errorf("%d bytes in parts of %d", size, n)
		}
	}
}

type broken struct {
	at  int64
	err error
}

func (b broken) ReadAt(p []byte, at int64) (int, error) {
	n, _ := pattern{b.at}.ReadAt(p, at)
	if n < len(p) {
		return n, b.err
	}
	return n, nil
}

func TestABodyThatCannotBeReadIsNeverStored(t *testing.T) {
	t.Parallel()
	s, dir, _ := embedded(t)
	damaged := errors.New("the spool is damaged")
	for _, tc := range []struct {
		name string
		size int64
		err  error
		want error
	}{
		{"small", 1000, damaged, damaged},
		{"large", 30 << 20, damaged, damaged},
		{"small-short", 1000, io.EOF, io.ErrUnexpectedEOF},
		{"large-short", 30 << 20, io.EOF, io.ErrUnexpectedEOF},
	} {
		uri := "s3://bucket/" + tc.name
		err := s.Put(t.Context(), uri, broken{tc.size / 2, tc.err}, tc.size, "text/plain", ergane.Delivery{})
		if !errors.Is(err, tc.want) {
			t.Errorf("%s: %v", tc.name, err)
		}
		if objects.Permanent(err) {
			t.Errorf("%s: the error is called permanent", tc.name)
		}
		if _, err := read(t, s, uri, 0); err == nil {
			t.Errorf("%s: there is an object", tc.name)
		}
	}
	if left, _ := filepath.Glob(filepath.Join(dir, "s3", "data", "bucket", ".sgwtmp", "multipart", "*")); len(left) > 0 {
		t.Errorf("uploads are left: %v", left)
	}
}

func TestAnUploadIsAbortedWhenItsCallerGivesUp(t *testing.T) {
	t.Parallel()
	s, dir, _ := embedded(t)
	ctx, cancel := context.WithCancelCause(t.Context())
	why := errors.New("the session was terminated")
	body := hook{pattern{64 << 20}, func(at int64) {
		if at > 20<<20 {
			cancel(why)
		}
	}}
	if err := s.Put(ctx, "s3://bucket/key", body, 64<<20, "text/plain", ergane.Delivery{}); !errors.Is(err, why) {
		t.Errorf("error is %v", err)
	}
	if left, _ := filepath.Glob(filepath.Join(dir, "s3", "data", "bucket", ".sgwtmp", "multipart", "*")); len(left) > 0 {
		t.Errorf("uploads are left: %v", left)
	}
}

type hook struct {
	io.ReaderAt
	before func(at int64)
}

func (h hook) ReadAt(p []byte, at int64) (int, error) {
	h.before(at)
	return h.ReaderAt.ReadAt(p, at)
}

func TestAPutToAnS3ThatHangsFails(t *testing.T) {
	t.Parallel()
	s, dir, endpoint := embedded(t)
	raw, err := os.ReadFile(filepath.Join(dir, "s3.json"))
	if err != nil {
		t.Fatal(err)
	}
	var h struct{ PID int }
	if err := json.Unmarshal(raw, &h); err != nil {
		t.Fatal(err)
	}
	if err := s.Put(t.Context(), "s3://bucket/key", pattern{10}, 10, "text/plain", ergane.Delivery{}); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(h.PID, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	defer syscall.Kill(h.PID, syscall.SIGCONT)
	testkit.Await(t, time.Minute, func() bool { return testkit.Stopped(h.PID) })
	s.SetPatience(300 * time.Millisecond) // from here on nothing succeeds
	for _, size := range []int64{10, 1 << 20, 20 << 20} {
		err := s.Put(t.Context(), "s3://bucket/key", pattern{size}, size, "text/plain", ergane.Delivery{})
		if err == nil || !strings.Contains(err.Error(), "S3 took longer than") || objects.Permanent(err) {
			t.Errorf("%d bytes to %s: %v", size, endpoint, err)
		}
	}
	if _, err := s.Get(t.Context(), "s3://bucket/key", 0); err == nil || !strings.Contains(err.Error(), "S3 sent nothing for") {
		t.Errorf("get: %v", err)
	}
}

func TestPermanentErrors(t *testing.T) {
	t.Parallel()
	s, _, endpoint := embedded(t)
	if err := s.Put(t.Context(), "s3://bucket/file", pattern{1}, 1, "", ergane.Delivery{}); err != nil {
		t.Fatal(err)
	}
	stranger, err := objects.New(objects.Config{Endpoint: endpoint, AccessKeyID: "NOBODY", Secret: "x", Embedded: true})
	if err != nil {
		t.Fatal(err)
	}
	defer stranger.Close()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	nowhere, err := objects.New(objects.Config{Endpoint: "http://" + l.Addr().String(), AccessKeyID: "x", Secret: "x", Embedded: true})
	if err != nil {
		t.Fatal(err)
	}
	defer nowhere.Close()
	put := func(s *objects.Client, uri string) error {
		return s.Put(t.Context(), uri, pattern{1}, 1, "", ergane.Delivery{})
	}
	_, missing := read(t, s, "s3://no-such-bucket/key", 0)
	for _, tc := range []struct {
		name string
		err  error
		want bool
	}{
		{"no bucket", missing, true},
		{"access denied", put(stranger, "s3://bucket/key"), true},
		{"below an object", put(s, "s3://bucket/file/key"), true},
		{"no address", put(s, "https://bucket/key"), true},
		{"no key", put(s, "s3://bucket"), true},
		{"nobody listens", put(nowhere, "s3://bucket/key"), false},
	} {
		if tc.err == nil || objects.Permanent(tc.err) != tc.want {
			t.Errorf("%s: permanent is %v: %v", tc.name, !tc.want, tc.err)
		}
	}
	if objects.Permanent(nil) {
		t.Error("success is permanent")
	}
}

func TestEnsureBucket(t *testing.T) {
	t.Parallel()
	s, _, endpoint := embedded(t)
	for range 2 {
		if err := s.EnsureBucket(t.Context(), "results"); err != nil {
			t.Error(err)
		}
	}
	if err := s.EnsureBucket(t.Context(), "Results"); !objects.Permanent(err) {
		t.Errorf("error is %v", err)
	}
	stranger, err := objects.New(objects.Config{Endpoint: endpoint, AccessKeyID: "NOBODY", Secret: "x", PathStyle: true, Region: "eu-central-1"})
	if err != nil {
		t.Fatal(err)
	}
	defer stranger.Close()
	if err := stranger.EnsureBucket(t.Context(), "results"); !objects.Permanent(err) {
		t.Errorf("error is %v", err)
	}
}

func TestConfigurationsThatCannotWorkAreRefused(t *testing.T) {
	t.Parallel()
	for name, cfg := range map[string]objects.Config{
		"no secret":            {AccessKeyID: "x"},
		"no keys":              {},
		"endpoint has no form": {AccessKeyID: "x", Secret: "x", Endpoint: "localhost:9000"},
		"embedded but nowhere": {AccessKeyID: "x", Secret: "x", Embedded: true},
	} {
		if _, err := objects.New(cfg); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestADeletedObjectIsGoneAndMayBeDeletedAgain(t *testing.T) {
	t.Parallel()
	s, _, _ := embedded(t)
	if err := s.EnsureBucket(t.Context(), "bucket"); err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{"a/b/stdout", "a/b/stderr"} {
		if err := s.Put(t.Context(), "s3://bucket/"+key, pattern{3}, 3, "text/plain", ergane.Delivery{}); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 {
		for _, uri := range []string{"s3://bucket/a/b/stdout", "s3://no-such-bucket/key"} {
			if err := s.Delete(t.Context(), uri, ergane.Delivery{}); err != nil {
				t.Errorf("%s: %v", uri, err)
			}
		}
	}
	if _, err := s.Get(t.Context(), "s3://bucket/a/b/stdout", 0); err == nil {
		t.Error("it is still there")
	}
	if _, err := read(t, s, "s3://bucket/a/b/stderr", 0); err != nil {
		t.Errorf("the one beside it: %v", err)
	}
	if err := s.Delete(t.Context(), "s3://bucket", ergane.Delivery{}); !objects.Permanent(err) {
		t.Errorf("an address without a key: %v", err)
	}
}
