package main

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"net/http"
	"os"
	"path/filepath"

	"github.com/ergane-dev/ergane/internal/datadir"
)

// certificate checks that a certificate and its key fit together, and returns
// the certificate's absolute path if it is self-signed: clients do not trust such
// a certificate by themselves, so they have to be given it.
func certificate(certFile, keyFile string) (selfSigned string, err error) {
	if certFile == "" {
		return "", nil
	}
	if _, err := tls.LoadX509KeyPair(certFile, keyFile); err != nil {
		return "", fmt.Errorf("--tls-cert %s, --tls-key %s: %w", certFile, keyFile, err)
	}
	raw, err := os.ReadFile(certFile)
	if err != nil {
		return "", fmt.Errorf("--tls-cert: %w", err)
	}
	block, _ := pem.Decode(raw)
	leaf, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return "", fmt.Errorf("--tls-cert %s: %w", certFile, err)
	}
	if !bytes.Equal(leaf.RawIssuer, leaf.RawSubject) {
		return "", nil
	}
	return filepath.Abs(certFile)
}

// httpClient talks to the server and trusts its certificate.
func httpClient(info datadir.Server) (*http.Client, error) {
	t := &http.Transport{MaxIdleConnsPerHost: 8} // no proxy: the server is on this machine
	if info.CertFile != "" {
		raw, err := os.ReadFile(info.CertFile)
		if err != nil {
			return nil, fmt.Errorf("read the server's certificate: %w", err)
		}
		roots, err := x509.SystemCertPool()
		if err != nil {
			roots = x509.NewCertPool()
		}
		roots.AppendCertsFromPEM(raw)
		t.TLSClientConfig = &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}
	}
	return &http.Client{Transport: t}, nil
}
