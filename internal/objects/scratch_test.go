package objects_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/ergane-dev/ergane/internal/credentials"
)

func TestScratch(t *testing.T) {
	st, dir, endpoint := embedded(t)
	data := make([]byte, 100<<20)
	rand.Read(data)
	path := filepath.Join(dir, "big")
	os.WriteFile(path, data, 0o600)
	ring, _ := credentials.Open(dir)
	root := ring.Root()
	mk := func(unsigned bool, req aws.RequestChecksumCalculation) *s3.Client {
		o := s3.Options{Region: "us-east-1", BaseEndpoint: &endpoint, UsePathStyle: true, HTTPClient: &http.Client{Transport: &http.Transport{WriteBufferSize: 64 << 10}},
			RequestChecksumCalculation: req, ContinueHeaderThresholdBytes: -1,
			Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
				return aws.Credentials{AccessKeyID: root.AccessKeyID, SecretAccessKey: root.Secret}, nil
			})}
		if unsigned {
			o.APIOptions = append(o.APIOptions, v4.SwapComputePayloadSHA256ForUnsignedPayloadMiddleware)
		}
		return s3.New(o)
	}
	rss := func() string {
		h, _ := os.ReadFile(filepath.Join(dir, "s3.json"))
		var pid int
		fmt.Sscanf(string(h[bytes.Index(h, []byte(`"pid":`))+6:]), "%d", &pid)
		b, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
		i := bytes.Index(b, []byte("VmHWM"))
		j := bytes.Index(b, []byte("VmRSS"))
		return string(b[i:i+24]) + " " + string(b[j:j+24])
	}
	t.Log("idle", rss())
	for _, v := range []struct {
		name string
		c    *s3.Client
		alg  types.ChecksumAlgorithm
	}{
		{"signed+none", mk(false, aws.RequestChecksumCalculationWhenRequired), ""},
		{"signed+crc32", mk(false, aws.RequestChecksumCalculationWhenSupported), "CRC32"},
		{"unsigned+none", mk(true, aws.RequestChecksumCalculationWhenRequired), ""},
		{"unsigned+crc32", mk(true, aws.RequestChecksumCalculationWhenSupported), "CRC32"},
		{"unsigned+crc64", mk(true, aws.RequestChecksumCalculationWhenSupported), "CRC64NVME"},
	} {
		for range 3 {
			f, _ := os.Open(path)
			b := time.Now()
			_, err := v.c.PutObject(t.Context(), &s3.PutObjectInput{Bucket: aws.String("ergane-results"), Key: aws.String("x/" + v.name), Body: f, ChecksumAlgorithm: v.alg})
			t.Log(v.name, time.Since(b), err)
			f.Close()
		}
	}
	for range 4 {
		b := time.Now()
		err := st.PutFile(t.Context(), "s3://ergane-results/multi/part", path)
		t.Log("multipart", time.Since(b), err)
	}
	t.Log(rss())
	small := []byte("hello")
	for range 3 {
		b := time.Now()
		for i := range 100 {
			if err := st.Put(t.Context(), fmt.Sprintf("s3://ergane-results/primary/session/%d/%d/stdout", i, i), bytes.NewReader(small), 5, "text/plain"); err != nil {
				t.Fatal(err)
			}
		}
		t.Log("small put", time.Since(b)/100)
	}
	t.Log(rss())
}
