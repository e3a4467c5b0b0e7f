package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"github.com/ergane-dev/ergane"
	"github.com/ergane-dev/ergane/internal/credentials"
	"github.com/ergane-dev/ergane/internal/datadir"
)

// client speaks Athena's protocol to a server, for the subcommands.
type client struct {
	info   datadir.Server
	key    credentials.Key
	signer *v4.Signer
	http   *http.Client
}

func newClient(info datadir.Server, key credentials.Key) (*client, error) {
	hc, err := httpClient(info)
	return &client{info: info, key: key, signer: v4.NewSigner(), http: hc}, err
}

// apiError is an error that the server answered.
type apiError struct {
	Type    string `json:"__type"`
	Message string
}

func (e *apiError) Error() string {
	if e.Message == "" {
		return e.Type
	}
	return e.Message
}

// throttled reports whether the server refused a call because there were too many.
func throttled(err error) bool {
	e, ok := errors.AsType[*apiError](err)
	return ok && e.Type == "ThrottlingException"
}

// errUnreachable says that no server answers at the address.
var errUnreachable = errors.New("the server does not answer")

// call runs one operation of the API. It is not repeated: a caller that
// repeats it adds a ClientRequestToken.
func (c *client) call(ctx context.Context, operation string, in, out any) error {
	body, err := json.Marshal(in)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.info.API+"/", bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/x-amz-json-1.1")
	req.Header.Set("X-Amz-Target", "AmazonAthena."+operation)
	res, err := c.send(req, body)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(res.Body)
	if err != nil {
		return fmt.Errorf("%s: %w", operation, err)
	}
	if err := json.Unmarshal(raw, out); err != nil {
		return fmt.Errorf("%s: the server's answer is not JSON: %w", operation, err)
	}
	return nil
}

// send signs a request and returns the answer if its status is 200.
func (c *client) send(req *http.Request, body []byte) (*http.Response, error) {
	sum := sha256.Sum256(body)
	creds := aws.Credentials{AccessKeyID: c.key.AccessKeyID, SecretAccessKey: c.key.Secret}
	if err := c.signer.SignHTTP(req.Context(), creds, req, hex.EncodeToString(sum[:]), "athena", c.info.Region, time.Now()); err != nil {
		return nil, err
	}
	res, err := c.http.Do(req)
	if err != nil {
		if cause := context.Cause(req.Context()); cause != nil {
			return nil, cause
		}
		return nil, fmt.Errorf("%w: %w", errUnreachable, err)
	}
	if res.StatusCode == http.StatusOK {
		return res, nil
	}
	defer res.Body.Close()
	if res.StatusCode == http.StatusServiceUnavailable {
		return nil, fmt.Errorf("%w: it is shutting down", errUnreachable)
	}
	answer := &apiError{Type: res.Status}
	_ = json.NewDecoder(io.LimitReader(res.Body, 1<<20)).Decode(answer) // if it is not JSON, the status is all there is
	return nil, answer
}

// output copies what a calculation prints to w as it is printed, from a byte
// offset on, until the calculation has ended; it returns the number of bytes copied.
func (c *client) output(ctx context.Context, id string, stream ergane.Stream, from int64, w io.Writer) (int64, error) {
	q := url.Values{"stream": {string(stream)}, "from": {strconv.FormatInt(from, 10)}}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.info.API+"/calculations/"+id+"/output?"+q.Encode(), nil)
	if err != nil {
		return 0, err
	}
	res, err := c.send(req, nil)
	if err != nil {
		return 0, err
	}
	defer res.Body.Close()
	return io.Copy(w, res.Body)
}

// clientKey is the key pair for clients of a server whose own root key is root.
func clientKey(info datadir.Server, root credentials.Key) (credentials.Key, error) {
	if !info.ExternalS3 {
		return root, nil
	}
	x, err := environment().external()
	return x.Key(), err
}
