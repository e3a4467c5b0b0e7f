package main

import (
	"bufio"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"github.com/ergane-dev/ergane/internal/credentials"
)

const region = "us-east-1"

// A client has one connection and makes one call after the other, each signed
// by itself. It is no more than that: it shares the processors with the server.
type client struct {
	host string
	key  credentials.Key
	conn net.Conn
	in   *bufio.Reader
	out  []byte
	took time.Duration // from the last request's first byte to the answer's last
	// The signing key is that of a day, as SDKs keep it, too.
	day        string
	signingKey []byte
}

func dial(dataDir string) (*client, error) {
	var info struct {
		API string `json:"api"`
	}
	raw, err := os.ReadFile(filepath.Join(dataDir, "server.json"))
	if err == nil {
		err = json.Unmarshal(raw, &info)
	}
	if err != nil {
		return nil, fmt.Errorf("find the server: %w", err)
	}
	at, err := url.Parse(info.API)
	if err != nil {
		return nil, err
	}
	keys, err := credentials.OpenExisting(dataDir)
	if err != nil {
		return nil, err
	}
	conn, err := net.Dial("tcp", at.Host)
	if err != nil {
		return nil, err
	}
	return &client{host: at.Host, key: keys.Root(), conn: conn, in: bufio.NewReaderSize(conn, 64<<10)}, nil
}

func (c *client) close() { c.conn.Close() }

// call makes a call and reads the answer into to. Anything but a 200 is an error.
func (c *client) call(operation, body string, to any) error {
	c.sign(operation, body)
	begun := time.Now()
	if _, err := c.conn.Write(c.out); err != nil {
		return err
	}
	answer, err := http.ReadResponse(c.in, nil)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	raw, err := io.ReadAll(answer.Body)
	c.took = time.Since(begun)
	switch {
	case err != nil:
		return err
	case answer.StatusCode != http.StatusOK:
		return fmt.Errorf("%s: %s: %s", operation, answer.Status, raw)
	}
	return json.Unmarshal(raw, to)
}

// sign writes the request to out.
func (c *client) sign(operation, body string) {
	const (
		media  = "application/x-amz-json-1.1"
		signed = "content-type;host;x-amz-date;x-amz-target"
	)
	stamp := time.Now().UTC().Format("20060102T150405Z")
	target := "AmazonAthena." + operation
	payload := sha256.Sum256([]byte(body))
	canonical := "POST\n/\n\ncontent-type:" + media + "\nhost:" + c.host + "\nx-amz-date:" + stamp + "\nx-amz-target:" + target + "\n\n" +
		signed + "\n" + hex.EncodeToString(payload[:])
	scope := stamp[:8] + "/" + region + "/athena/aws4_request"
	hash := sha256.Sum256([]byte(canonical))
	signature := mac(c.dayKey(stamp[:8]), "AWS4-HMAC-SHA256\n"+stamp+"\n"+scope+"\n"+hex.EncodeToString(hash[:]))
	c.out = fmt.Appendf(c.out[:0], "POST / HTTP/1.1\r\nHost: %s\r\nContent-Type: %s\r\nX-Amz-Date: %s\r\nX-Amz-Target: %s\r\n"+
		"Authorization: AWS4-HMAC-SHA256 Credential=%s/%s, SignedHeaders=%s, Signature=%x\r\nContent-Length: %d\r\n\r\n%s",
		c.host, media, stamp, target, c.key.AccessKeyID, scope, signed, signature, len(body), body)
}

func (c *client) dayKey(day string) []byte {
	if c.day != day {
		c.day, c.signingKey = day, []byte("AWS4"+c.key.Secret)
		for _, part := range []string{day, region, "athena", "aws4_request"} {
			c.signingKey = mac(c.signingKey, part)
		}
	}
	return c.signingKey
}

func mac(key []byte, text string) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(text))
	return h.Sum(nil)
}
