package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ergane-dev/ergane/internal/datadir"
	"github.com/ergane-dev/ergane/internal/server"
)

// selfSigned writes a certificate for 127.0.0.1 and its key.
func selfSigned(t *testing.T) (certFile, keyFile string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
	}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	certFile, keyFile = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	for path, block := range map[string]*pem.Block{certFile: {Type: "CERTIFICATE", Bytes: cert}, keyFile: {Type: "PRIVATE KEY", Bytes: der}} {
		if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return certFile, keyFile
}

func TestOurOwnClientTrustsASelfSignedServer(t *testing.T) {
	t.Parallel()
	certFile, keyFile := selfSigned(t)
	trusted, err := certificate(certFile, keyFile)
	if err != nil || trusted != certFile {
		t.Fatalf("certificate = %q, %v; want %q", trusted, err, certFile)
	}
	pair, err := tls.LoadX509KeyPair(certFile, keyFile)
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_ = json.NewEncoder(w).Encode(server.Readiness{Ready: true})
	}))
	srv.TLS = &tls.Config{Certificates: []tls.Certificate{pair}}
	srv.StartTLS()
	defer srv.Close()
	if r, err := askReady(context.Background(), datadir.Server{API: srv.URL, CertFile: trusted}); err != nil || !r.Ready {
		t.Errorf("with the certificate: %+v, %v", r, err)
	}
	if _, err := askReady(context.Background(), datadir.Server{API: srv.URL}); err == nil {
		t.Error("an unknown certificate is trusted")
	}
}

func TestServeRefusesUnsafeOrIncompleteFlags(t *testing.T) {
	t.Parallel()
	certFile, keyFile := selfSigned(t)
	loopback := "127.0.0.1:0"
	for name, c := range map[string]struct {
		cmd  serveCmd
		want string // of the error; empty for none
	}{
		"loopback":                       {serveCmd{Listen: loopback, S3Listen: "localhost:0"}, ""},
		"IPv6 loopback":                  {serveCmd{Listen: "[::1]:0", S3Listen: loopback}, ""},
		"every address":                  {serveCmd{Listen: "0.0.0.0:0", S3Listen: loopback}, "--listen 0.0.0.0:0 is open to other machines without TLS"},
		"no host":                        {serveCmd{Listen: ":7480", S3Listen: loopback}, "--listen :7480 is open to other machines without TLS"},
		"a name":                         {serveCmd{Listen: "example.org:1", S3Listen: loopback}, "is open to other machines"},
		"every address with TLS":         {serveCmd{Listen: "0.0.0.0:0", S3Listen: loopback, TLSCert: certFile, TLSKey: keyFile}, ""},
		"S3 for all, with the API's TLS": {serveCmd{Listen: loopback, S3Listen: "0.0.0.0:0", TLSCert: certFile, TLSKey: keyFile}, "--s3-listen 0.0.0.0:0 is open"},
		"told so":                        {serveCmd{Listen: "0.0.0.0:0", S3Listen: "0.0.0.0:0", Insecure: true}, ""},
		"no address":                     {serveCmd{Listen: "here", S3Listen: loopback}, "not an address of the form host:port"},
		"half of TLS":                    {serveCmd{Listen: loopback, S3Listen: loopback, TLSCert: certFile}, "go together"},
		"an invalid key":                 {serveCmd{Listen: loopback, S3Listen: loopback, TLSCert: certFile, TLSKey: certFile}, "--tls-key"},
		"no catalog":                     {serveCmd{Listen: loopback, S3Listen: loopback, Catalog: "off"}, ""},
		"an external catalog":            {serveCmd{Listen: loopback, S3Listen: loopback, Catalog: "thrift://hive:9083"}, ""},
		"two external catalogs":          {serveCmd{Listen: loopback, S3Listen: loopback, Catalog: "thrift://a:9083,thrift://b:9083"}, ""},
		"a catalog without a port":       {serveCmd{Listen: loopback, S3Listen: loopback, Catalog: "thrift://hive"}, "--catalog thrift://hive is neither auto nor off nor of the form thrift://host:port"},
		"a catalog of an unknown kind":   {serveCmd{Listen: loopback, S3Listen: loopback, Catalog: "http://hive:9083"}, "--catalog http://hive:9083 is neither"},
		"results without an address":     {serveCmd{Listen: loopback, S3Listen: loopback, Results: "/tmp/x"}, "--results /tmp/x is not an s3:// address"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := c.cmd.config()
			if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
				t.Errorf("config: %v, want %q", err, c.want)
			}
		})
	}
}

func TestTheFinalErrorOfAServerIsFoundInItsLog(t *testing.T) {
	t.Parallel()
	for log, want := range map[string]string{
		"time=… msg=x\nergane: the disk is full\n":                          "the disk is full",
		"ergane: first\nergane: " + server.AlreadyServed + "/d (process 1)": "",
		"panic: …\n": "the server ended without an error message; see LOG",
	} {
		if got := finalError(strings.NewReader(log), "LOG"); got != want {
			t.Errorf("%q: %q, want %q", log, got, want)
		}
	}
}

func TestTheLastErrorIsFoundInALogThatWasRotated(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "serve.log")
	if err := os.WriteFile(path, []byte("ergane: old\nergane: new\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for from, want := range map[int64]string{12: "new", 24: "the server ended without an error message; see " + path, 4711: "new"} {
		if got := lastError(path, from); got != want {
			t.Errorf("from %d on: %q, want %q", from, got, want)
		}
	}
}

func TestEnvIsSafeForAShell(t *testing.T) {
	t.Parallel()
	if got, want := quote(`a'b $(c)`), `'a'\''b $(c)'`; got != want {
		t.Errorf("quote = %s, want %s", got, want)
	}
}
