package gateway_test

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"hash/crc32"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/ergane-dev/ergane/internal/credentials"
	"github.com/ergane-dev/ergane/internal/flock"
)

func TestAnyRegionMaySign(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	sup := s.start(t, nil)
	for _, region := range []string{"us-east-1", "eu-central-1", "us-gov-west-1"} {
		c := s.client(t, sup.Endpoint(), func(o *s3.Options) { o.Region = region })
		bucket := "in-" + region
		_, err := c.CreateBucket(t.Context(), &s3.CreateBucketInput{Bucket: &bucket, CreateBucketConfiguration: &types.CreateBucketConfiguration{
			LocationConstraint: types.BucketLocationConstraint(region),
		}})
		if err != nil {
			t.Errorf("%s: %v", region, err)
		}
		key := "a b+c/ä=1"
		if err := put(t, c, bucket, key, region); err != nil {
			t.Errorf("%s: %v", region, err)
		}
		if got, err := get(t, c, bucket, key); got != region || err != nil {
			t.Errorf("%s: %q, %v", region, got, err)
		}
		list, err := c.ListObjectsV2(t.Context(), &s3.ListObjectsV2Input{Bucket: &bucket, Prefix: aws.String("a b+c/"), Delimiter: aws.String("/")})
		if err != nil || len(list.Contents) != 1 {
			t.Errorf("%s: list: %v, %v", region, list, err)
		}
		complete, _ := upload(t, c, bucket, "large")
		if _, err := c.CompleteMultipartUpload(t.Context(), complete); err != nil {
			t.Errorf("%s: complete: %v", region, err)
		}
		_, err = c.DeleteObjects(t.Context(), &s3.DeleteObjectsInput{Bucket: &bucket, Delete: &types.Delete{Objects: []types.ObjectIdentifier{{Key: aws.String("large")}}}})
		if err != nil {
			t.Errorf("%s: delete: %v", region, err)
		}

		wrong := s.client(t, sup.Endpoint(), func(o *s3.Options) {
			o.Region = region
			o.Credentials = keyProvider(credentials.Key{AccessKeyID: s.ring.Root().AccessKeyID, Secret: "wrong"})
		})
		wantError(t, put(t, wrong, bucket, "other", "x"), 403, "SignatureDoesNotMatch")
		nobody := s.client(t, sup.Endpoint(), func(o *s3.Options) {
			o.Region = region
			o.Credentials = keyProvider(credentials.Key{AccessKeyID: "NOBODY", Secret: "wrong"})
		})
		wantError(t, put(t, nobody, bucket, "other", "x"), 403, "InvalidAccessKeyId")
	}
}

func TestPresignedURLs(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	sup := s.start(t, nil)
	for _, region := range []string{"us-east-1", "eu-central-1"} {
		c := s.client(t, sup.Endpoint(), func(o *s3.Options) { o.Region = region })
		presign := s3.NewPresignClient(c)
		key := "dir/a b/" + region
		up, err := presign.PresignPutObject(t.Context(), &s3.PutObjectInput{Bucket: aws.String("bucket"), Key: &key})
		if err != nil {
			t.Fatal(err)
		}
		if code, body := do(t, up.Method, up.URL, up.SignedHeader, "hello"); code != 200 {
			t.Errorf("%s: put: %d %s", region, code, body)
		}
		down, err := presign.PresignGetObject(t.Context(), &s3.GetObjectInput{Bucket: aws.String("bucket"), Key: &key, ResponseContentType: aws.String("text/x-test")})
		if err != nil {
			t.Fatal(err)
		}
		if code, body := do(t, down.Method, down.URL, down.SignedHeader, ""); code != 200 || body != "hello" {
			t.Errorf("%s: get: %d %s", region, code, body)
		}
		if code, body := do(t, down.Method, strings.Replace(down.URL, "dir", "dis", 1), down.SignedHeader, ""); code != 403 || !strings.Contains(body, "SignatureDoesNotMatch") {
			t.Errorf("%s: get of another key: %d %s", region, code, body)
		}
	}
}

func do(t *testing.T, method, url string, header http.Header, body string) (int, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for k, v := range header {
		r.Header[k] = v
	}
	return send(t, r)
}

func send(t *testing.T, r *http.Request) (int, string) {
	t.Helper()
	transport := &http.Transport{DisableKeepAlives: true}
	resp, err := transport.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(b)
}

// TestChunkedPayloads sends what SDKs make of bodies whose hash they do not
// know beforehand (SigV4 "Transferring payload in multiple chunks").
func TestChunkedPayloads(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	sup := s.start(t, nil)
	c := s.client(t, sup.Endpoint(), nil)
	if err := put(t, c, "bucket", "first", "x"); err != nil {
		t.Fatal(err)
	}
	body := strings.Repeat("0123456789", 20_000)
	for _, region := range []string{"us-east-1", "eu-central-1"} {
		for _, kind := range []string{"STREAMING-AWS4-HMAC-SHA256-PAYLOAD", "STREAMING-UNSIGNED-PAYLOAD-TRAILER"} {
			key := region + "/" + kind
			r := chunked(t, sup.Endpoint()+"/bucket/"+key, s.ring.Root(), region, kind, body, body)
			if code, answer := send(t, r); code != 200 {
				t.Errorf("%s: %d %s", key, code, answer)
				continue
			}
			out, err := c.GetObject(t.Context(), &s3.GetObjectInput{Bucket: aws.String("bucket"), Key: &key})
			if err != nil {
				t.Errorf("%s: %v", key, err)
				continue
			}
			got, err := io.ReadAll(out.Body)
			out.Body.Close()
			if string(got) != body || err != nil {
				t.Errorf("%s: %d bytes, %v", key, len(got), err)
			}
			if e := aws.ToString(out.ContentEncoding); e != "" {
				t.Errorf("%s: stored with encoding %q", key, e)
			}
			forged := strings.Replace(body, "9", "8", 1)
			r = chunked(t, sup.Endpoint()+"/bucket/forged", s.ring.Root(), region, kind, body, forged)
			if code, answer := send(t, r); code < 400 || code >= 500 {
				t.Errorf("%s: forged payload: %d %s", key, code, answer)
			}
		}
	}
	_, err := get(t, c, "bucket", "forged")
	wantError(t, err, 404, "NoSuchKey")
}

// chunked is a PUT of sent, with the signatures and checksums of body.
func chunked(t *testing.T, url string, key credentials.Key, region, kind, body, sent string) *http.Request {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPut, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now().UTC()
	signed := kind == "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"
	r.Header.Set("X-Amz-Content-Sha256", kind)
	r.Header.Set("X-Amz-Decoded-Content-Length", strconv.Itoa(len(body)))
	r.Header.Set("Content-Encoding", "aws-chunked")
	if !signed {
		r.Header.Set("X-Amz-Trailer", "x-amz-checksum-crc32")
	}
	err = v4.NewSigner().SignHTTP(t.Context(), aws.Credentials{AccessKeyID: key.AccessKeyID, SecretAccessKey: key.Secret}, r, kind, "s3", region, now,
		func(o *v4.SignerOptions) { o.DisableURIPathEscaping = true })
	if err != nil {
		t.Fatal(err)
	}
	_, signature, _ := strings.Cut(r.Header.Get("Authorization"), "Signature=")
	mac := func(k []byte, s string) []byte {
		h := hmac.New(sha256.New, k)
		h.Write([]byte(s))
		return h.Sum(nil)
	}
	day := now.Format("20060102")
	signing := mac(mac(mac(mac([]byte("AWS4"+key.Secret), day), region), "s3"), "aws4_request")
	sum := func(s string) string { h := sha256.Sum256([]byte(s)); return hex.EncodeToString(h[:]) }

	var b bytes.Buffer
	const size = 64 << 10
	for at := 0; ; at += size {
		from, to := min(at, len(body)), min(at+size, len(body))
		if signed {
			signature = hex.EncodeToString(mac(signing, strings.Join([]string{
				"AWS4-HMAC-SHA256-PAYLOAD", now.Format("20060102T150405Z"), day + "/" + region + "/s3/aws4_request",
				signature, sum(""), sum(body[from:to]),
			}, "\n")))
			fmt.Fprintf(&b, "%x;chunk-signature=%s\r\n%s\r\n", to-from, signature, sent[from:to])
		} else if to > from {
			fmt.Fprintf(&b, "%x\r\n%s\r\n", to-from, sent[from:to])
		} else {
			crc := binary.BigEndian.AppendUint32(nil, crc32.ChecksumIEEE([]byte(body)))
			fmt.Fprintf(&b, "0\r\nx-amz-checksum-crc32:%s\r\n\r\n", base64.StdEncoding.EncodeToString(crc))
		}
		if from == to {
			break
		}
	}
	r.Body, r.ContentLength = io.NopCloser(&b), int64(b.Len())
	return r
}

func TestASessionsKeyIsValidWhileTheSessionLives(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	sup := s.start(t, nil)
	const id = "0192d3a4-5b6c-7d8e-9f00-112233445566"
	key := s.ring.Session(id)
	for _, region := range []string{"us-east-1", "eu-central-1"} {
		session := s.client(t, sup.Endpoint(), func(o *s3.Options) {
			o.Credentials = keyProvider(key)
			o.Region = region
		})
		dir := filepath.Join(s.dir, "sessions", id)
		if err := os.RemoveAll(dir); err != nil {
			t.Fatal(err)
		}
		eventually(t, "the key of a session that is not there is refused", func() bool {
			err := put(t, session, "warehouse", "key", "x")
			return err != nil && strings.Contains(err.Error(), "InvalidAccessKeyId")
		})
		if err := os.MkdirAll(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		lock, err := flock.Acquire(filepath.Join(dir, "lock")) // as a session's shim holds it
		if err != nil {
			t.Fatal(err)
		}
		eventually(t, "the session's key is taken", func() bool { return put(t, session, "warehouse", "key", "x") == nil })
		if got, err := get(t, s.client(t, sup.Endpoint(), nil), "warehouse", "key"); got != "x" || err != nil {
			t.Errorf("the root key sees %q, %v", got, err)
		}
		lock.Release()
		eventually(t, "the ended session's key is refused", func() bool {
			_, err := get(t, session, "warehouse", "key")
			return err != nil && strings.Contains(err.Error(), "InvalidAccessKeyId")
		})
	}
}
