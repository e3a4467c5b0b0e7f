package engine

import (
	"bytes"
	"crypto/sha1"
	"encoding/binary"
	"encoding/pem"
	"os"
	"strconv"
	"time"
	"unicode/utf16"
)

// trustStoreFile, in the engine's folder, holds the machine's certificate
// authorities in Java's own format. A Java runtime from a wheel has its own list,
// without those of a company's network; so may the machine's Java.
const trustStoreFile = "truststore.jks"

// caBundles is where systems keep their certificate authorities as one PEM file.
var caBundles = []string{
	"/etc/ssl/certs/ca-certificates.crt", // Debian, Ubuntu, Arch
	"/etc/pki/tls/certs/ca-bundle.crt",   // Fedora, RHEL
	"/etc/ssl/ca-bundle.pem",             // openSUSE
	"/etc/ssl/cert.pem",                  // Alpine
}

// trustOptions writes the trust store and returns the JVM options that use it;
// none if the machine has no list of authorities.
func (in *installation) trustOptions() ([]string, error) {
	bundle := caBundle()
	if bundle == nil {
		return nil, nil
	}
	store := in.path(trustStoreFile)
	if err := writeFile(store, javaTrustStore(bundle, time.Now())); err != nil {
		return nil, err
	}
	return trustStoreOptions(store), nil
}

func trustStoreOptions(store string) []string {
	return []string{"-Djavax.net.ssl.trustStore=" + store, "-Djavax.net.ssl.trustStoreType=JKS"}
}

// caBundle returns the certificates (DER) of the file named by SSL_CERT_FILE,
// or of the system's.
func caBundle() [][]byte {
	files := caBundles
	if named := os.Getenv("SSL_CERT_FILE"); named != "" {
		files = []string{named}
	}
	for _, file := range files {
		rest, err := os.ReadFile(file)
		if err != nil {
			continue
		}
		var certificates [][]byte
		for block, rest := pem.Decode(rest); block != nil; block, rest = pem.Decode(rest) {
			if block.Type == "CERTIFICATE" {
				certificates = append(certificates, block.Bytes)
			}
		}
		if len(certificates) > 0 {
			return certificates
		}
	}
	return nil
}

// javaTrustStore writes certificates in the JKS format, whose layout is
// described at sun.security.provider.JavaKeyStore in OpenJDK. Its password is
// the customary one: it protects nothing, as nothing in here is secret.
func javaTrustStore(certificates [][]byte, at time.Time) []byte {
	const (
		magic              = 0xfeedfeed
		version            = 2
		trustedCertificate = 2
		password           = "changeit"
		salt               = "Mighty Aphrodite"
	)
	var b bytes.Buffer
	number := func(n uint32) { b.Write(binary.BigEndian.AppendUint32(nil, n)) }
	text := func(s string) {
		b.Write(binary.BigEndian.AppendUint16(nil, uint16(len(s))))
		b.WriteString(s)
	}
	number(magic)
	number(version)
	number(uint32(len(certificates)))
	for i, der := range certificates {
		number(trustedCertificate)
		text("ca-" + strconv.Itoa(i))
		b.Write(binary.BigEndian.AppendUint64(nil, uint64(at.UnixMilli())))
		text("X.509")
		number(uint32(len(der)))
		b.Write(der)
	}
	sum := sha1.New()
	for _, unit := range utf16.Encode([]rune(password)) {
		sum.Write(binary.BigEndian.AppendUint16(nil, unit))
	}
	sum.Write([]byte(salt))
	sum.Write(b.Bytes())
	return sum.Sum(b.Bytes())
}
