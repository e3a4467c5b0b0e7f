package gateway_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/ergane-dev/ergane/internal/objects/gateway"
)

func TestAcknowledgedObjectsSurviveKills(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	sup := s.start(t, nil)
	c := s.client(t, sup.Endpoint(), nil)

	const kills = 3
	ctx, stop := context.WithCancel(t.Context())
	var mu sync.Mutex
	acknowledged := map[string]string{}
	count := func() int {
		mu.Lock()
		defer mu.Unlock()
		return len(acknowledged)
	}
	var writers sync.WaitGroup
	for w := range 4 {
		writers.Go(func() {
			for i := 0; ctx.Err() == nil; i++ {
				// Some keys are new, some are written over.
				key := fmt.Sprintf("w%d/%d/stdout", w, i%50)
				body := fmt.Sprintf("%d %s", i, bytes.Repeat([]byte("x"), 10_000))
				_, err := c.PutObject(ctx, &s3.PutObjectInput{Bucket: aws.String("ergane-results"), Key: &key, Body: bytes.NewReader([]byte(body))})
				mu.Lock()
				if err == nil {
					acknowledged[key] = body
				} else {
					delete(acknowledged, key) // the old or the new one
				}
				mu.Unlock()
			}
		})
	}
	for range kills {
		before := s.handle(t).PID
		// Keys are not counted twice, so wait for a state that more puts only repeat.
		eventually(t, "many puts are acknowledged", func() bool { return count() >= 100 })
		s.signal(t, syscall.SIGKILL)
		eventually(t, "another process serves", func() bool { return s.handle(t).PID != before && sup.Healthy() == nil })
	}
	eventually(t, "puts are acknowledged after the last kill", func() bool { return count() >= 100 })
	stop()
	writers.Wait()
	for key, want := range acknowledged {
		if got, err := get(t, c, "ergane-results", key); err != nil || got != want {
			t.Errorf("%s: %d bytes and not %d (%v)", key, len(got), len(want), err)
		}
	}
	list, err := c.ListObjectsV2(t.Context(), &s3.ListObjectsV2Input{Bucket: aws.String("ergane-results")})
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range list.Contents {
		if filepath.Base(*o.Key) != "stdout" {
			t.Errorf("%s is listed", *o.Key)
		}
	}
}

// upload begins an upload of two parts and returns what completes it.
func upload(t *testing.T, c *s3.Client, bucket, key string) (*s3.CompleteMultipartUploadInput, []byte) {
	t.Helper()
	begun, err := c.CreateMultipartUpload(t.Context(), &s3.CreateMultipartUploadInput{Bucket: &bucket, Key: &key})
	if err != nil {
		t.Fatal(err)
	}
	in := &s3.CompleteMultipartUploadInput{Bucket: &bucket, Key: &key, UploadId: begun.UploadId, MultipartUpload: &types.CompletedMultipartUpload{}}
	all := bytes.Repeat([]byte("0123456789abcdef"), 6<<20/16)
	for i, part := range [][]byte{all[:5<<20], all[5<<20:]} {
		out, err := c.UploadPart(t.Context(), &s3.UploadPartInput{
			Bucket: &bucket, Key: &key, UploadId: begun.UploadId, PartNumber: aws.Int32(int32(i + 1)), Body: bytes.NewReader(part),
		})
		if err != nil {
			t.Fatal(err)
		}
		in.MultipartUpload.Parts = append(in.MultipartUpload.Parts, types.CompletedPart{
			ETag: out.ETag, PartNumber: aws.Int32(int32(i + 1)), ChecksumCRC32: out.ChecksumCRC32,
		})
	}
	return in, all
}

func uploadDir(t *testing.T, s *server, bucket, upload string) string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(s.dir, "s3", "data", bucket, ".sgwtmp", "multipart", "*", upload))
	if err != nil || len(found) != 1 {
		t.Fatalf("upload folders %v, error %v", found, err)
	}
	return found[0]
}

// restart ends the process with a signal, changes files, and waits for the next one.
func restart(t *testing.T, s *server, sup *gateway.Supervisor, change func()) {
	t.Helper()
	before := s.handle(t).PID
	// A stopped process does not see the change, and the next one does not start yet.
	s.signal(t, syscall.SIGSTOP)
	change()
	s.signal(t, syscall.SIGKILL)
	eventually(t, "another process serves", func() bool { return s.handle(t).PID != before && sup.Healthy() == nil })
}

func TestAHalfDoneCompletionCanBeRepeated(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	sup := s.start(t, nil)
	c := s.client(t, sup.Endpoint(), nil)
	complete, want := upload(t, c, "bucket", "a/large")
	restart(t, s, sup, func() {
		dir := uploadDir(t, s, "bucket", *complete.UploadId)
		if err := os.Rename(dir, dir+".0123456789abcdef0123456789abcdef-2.inprogress"); err != nil {
			t.Fatal(err)
		}
	})
	if _, err := c.CompleteMultipartUpload(t.Context(), complete); err != nil {
		t.Fatal(err)
	}
	if got, err := get(t, c, "bucket", "a/large"); err != nil || got != string(want) {
		t.Fatalf("%d bytes, error %v", len(got), err)
	}
	if _, err := c.CompleteMultipartUpload(t.Context(), complete); err != nil {
		t.Errorf("completing a completed upload again: %v", err)
	}
}

func TestFilesOfACompletedUploadAreRemoved(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	sup := s.start(t, nil)
	c := s.client(t, sup.Endpoint(), nil)
	complete, want := upload(t, c, "bucket", "a/large")
	dir := uploadDir(t, s, "bucket", *complete.UploadId)
	if _, err := c.CompleteMultipartUpload(t.Context(), complete); err != nil {
		t.Fatal(err)
	}
	restart(t, s, sup, func() {
		// As if it had died while it removed the parts.
		left := dir + ".0123456789abcdef0123456789abcdef-2.inprogress"
		if err := os.MkdirAll(left, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := syscall.Setxattr(filepath.Dir(left), "user.objname", []byte("a/large"), 0); err != nil {
			t.Fatal(err)
		}
	})
	if _, err := c.CompleteMultipartUpload(t.Context(), complete); err != nil {
		t.Fatal(err)
	}
	if got, err := get(t, c, "bucket", "a/large"); err != nil || got != string(want) {
		t.Fatalf("%d bytes, error %v", len(got), err)
	}
	if _, err := os.Stat(filepath.Dir(dir)); !os.IsNotExist(err) {
		t.Errorf("the upload's folder is still there (%v)", err)
	}
}

func TestUnfinishedUploadsAreRemovedAfterAReboot(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	sup := s.start(t, nil)
	c := s.client(t, sup.Endpoint(), nil)
	if err := put(t, c, "bucket", "key", "x"); err != nil {
		t.Fatal(err)
	}
	complete, _ := upload(t, c, "bucket", "large")
	restart(t, s, sup, func() {
		path := filepath.Join(s.dir, "s3.json")
		raw, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		id, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
		if err != nil {
			t.Fatal(err)
		}
		raw = bytes.Replace(raw, bytes.TrimSpace(id), []byte("another"), 1)
		if err := os.WriteFile(path, raw, 0o600); err != nil {
			t.Fatal(err)
		}
	})
	_, err := c.CompleteMultipartUpload(t.Context(), complete)
	wantError(t, err, 404, "NoSuchUpload")
	if got, err := get(t, c, "bucket", "key"); got != "x" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
}

func TestUnknownUploadIsNotTakenForTheObjectOfThatName(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	sup := s.start(t, nil)
	c := s.client(t, sup.Endpoint(), nil)
	if err := put(t, c, "bucket", "key", "older"); err != nil {
		t.Fatal(err)
	}
	complete, _ := upload(t, c, "bucket", "key")
	_, err := c.AbortMultipartUpload(t.Context(), &s3.AbortMultipartUploadInput{Bucket: complete.Bucket, Key: complete.Key, UploadId: complete.UploadId})
	if err != nil {
		t.Fatal(err)
	}
	_, err = c.CompleteMultipartUpload(t.Context(), complete)
	wantError(t, err, 404, "NoSuchUpload")
	complete.UploadId = aws.String("../../../key")
	_, err = c.CompleteMultipartUpload(t.Context(), complete)
	wantError(t, err, 404, "NoSuchUpload")
}

func TestCompletionsOfOneUploadAtOnceAllGiveTheRightAnswer(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	sup := s.start(t, nil)
	c := s.client(t, sup.Endpoint(), nil)
	complete, want := upload(t, c, "bucket", "key")
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			if _, err := c.CompleteMultipartUpload(t.Context(), complete); err != nil {
				t.Error(err)
				return
			}
			out, err := c.GetObject(t.Context(), &s3.GetObjectInput{Bucket: complete.Bucket, Key: complete.Key})
			if err != nil {
				t.Error("completed, but", err)
				return
			}
			defer out.Body.Close()
			if n, err := io.Copy(io.Discard, out.Body); n != int64(len(want)) || err != nil {
				t.Errorf("%d bytes, error %v", n, err)
			}
		})
	}
	all.Wait()
}

func TestHalfRenamedFilesAreNotListed(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	sup := s.start(t, nil)
	c := s.client(t, sup.Endpoint(), nil)
	if err := put(t, c, "bucket", "dir/key", "x"); err != nil {
		t.Fatal(err)
	}
	left := filepath.Join(s.dir, "s3", "data", "bucket", "dir", fmt.Sprintf(".key.sgwtmp.%d", time.Now().UnixNano()))
	restart(t, s, sup, func() {
		if err := os.WriteFile(left, []byte("half"), 0o600); err != nil {
			t.Fatal(err)
		}
	})
	eventually(t, "the file goes", func() bool { _, err := os.Stat(left); return os.IsNotExist(err) })
}
