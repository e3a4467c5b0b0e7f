package gateway

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/gofiber/fiber/v3"
	"github.com/versity/versitygw/auth"
	"github.com/versity/versitygw/s3api/middlewares"
	"github.com/versity/versitygw/s3api/utils"
	"github.com/versity/versitygw/s3err"
)

// versitygw accepts only one region, in the signature and as the location of a
// new bucket, and it checks signatures itself. So a request for another region is
// verified here, as it was sent, and then signed again for Region with the same
// key. Signing covers only the head of the request; versitygw still checks what
// the headers say about the body.

const (
	unsignedPayload = "UNSIGNED-PAYLOAD"
	amzTime         = "20060102T150405Z"
	// maxConfiguration is the longest CreateBucketConfiguration, in bytes, that is read.
	maxConfiguration = 64 << 10
)

var (
	regionName = regexp.MustCompile(`^[a-z0-9-]{1,40}$`)
	location   = regexp.MustCompile(`(?s)<LocationConstraint[^>]*>.*?</LocationConstraint>|<LocationConstraint[^>]*/>`)
)

// settle verifies the signature of a request, and turns a request for any region
// into one for Region. It returns the access key id; empty if the request has no
// signature that could be valid: versitygw gives the right answer to that.
func (f *front) settle(c fiber.Ctx) (key string, err error) {
	credential, presigned := scope(c)
	parts := strings.Split(credential, "/")
	if len(parts) != 5 || !regionName.MatchString(parts[2]) {
		return "", nil
	}
	region := parts[2]
	located := locates(c)
	stays := region == Region && !located
	secret, err := f.secret(parts[0])
	if err != nil {
		return "", err
	}
	// versitygw verifies requests later, when it has decoded their path.
	sent := string(c.Request().URI().PathOriginal())
	path, err := url.PathUnescape(sent)
	if err != nil {
		return "", s3err.GetAPIError(s3err.ErrInvalidURI)
	}
	c.Path(path)
	if presigned {
		err = f.verifyPresigned(c, region, stays)
	} else {
		err = f.verifyHeader(c, region, stays)
	}
	c.Path(sent)
	if err != nil || stays {
		return parts[0], err
	}
	if located {
		if err := dropLocation(c); err != nil {
			return "", err
		}
	}
	return parts[0], resign(c, path, aws.Credentials{AccessKeyID: parts[0], SecretAccessKey: secret})
}

// scope is the Credential of a request, and whether it is in the query.
func scope(c fiber.Ctx) (credential string, presigned bool) {
	if q := c.Query("X-Amz-Credential"); q != "" {
		return q, true
	}
	list, ok := strings.CutPrefix(c.Get("Authorization"), "AWS4-HMAC-SHA256")
	if !ok {
		return "", false
	}
	for field := range strings.SplitSeq(list, ",") {
		if v, ok := strings.CutPrefix(strings.TrimSpace(field), "Credential="); ok {
			return v, false
		}
	}
	return "", false
}

func (f *front) secret(access string) (string, error) {
	if access == f.root.Access {
		return f.root.Secret, nil
	}
	a, err := f.accounts.GetUserAccount(access)
	if err != nil {
		return "", s3err.GetInvalidAccessKeyIdErr(access)
	}
	return a.Secret, nil
}

func (f *front) verifyHeader(c fiber.Ctx, region string, stays bool) error {
	data, err := utils.ParseAuthorization(c.Get("Authorization"))
	if err != nil {
		return err
	}
	date := c.Get("X-Amz-Date", c.Get("Date"))
	at, err := time.Parse(amzTime, date)
	if err != nil {
		return s3err.GetAPIError(s3err.ErrMissingDateHeader)
	}
	if err := utils.ValidateDate(at); err != nil {
		return err
	}
	if date[:8] != data.Date {
		return s3err.MalformedAuth.DateMismatch()
	}
	key, err := f.signingKey(data.Access, c.Get("X-Amz-Security-Token"), data.Date, region)
	if err != nil {
		return err
	}
	length, _ := strconv.ParseInt(c.Get("Content-Length"), 10, 64)
	payload := c.Get("X-Amz-Content-Sha256")
	canonical, err := utils.CheckValidSignature(c, data, key, payload, at, length)
	if err != nil {
		return err
	}
	if !stays && utils.IsStreamingPayload(payload) && !utils.IsUnsignedStreamingPayload(payload) {
		// Each chunk is signed for the same region: the body is verified here
		// while it is read, and passed on with an unsigned payload.
		var body io.Reader = bytes.NewReader(nil)
		if s := c.Request().BodyStream(); s != nil {
			body = s
		}
		chunks, err := utils.NewChunkReader(c, body, data, canonical, key, at)
		if err != nil {
			return err
		}
		utils.ContextKeyBodyReader.Set(c, chunks)
		c.Request().Header.Set("X-Amz-Content-Sha256", unsignedPayload)
	}
	return nil
}

// verifyPresigned also removes the signature from the query, unless it stays:
// resign puts the new one into the header.
func (f *front) verifyPresigned(c fiber.Ctx, region string, stays bool) error {
	verify := middlewares.VerifyPresignedV4Signature(f.root, f.accounts, region, false)
	if err := verify(c); err != nil {
		return err
	}
	utils.ContextKeyAuthenticated.Delete(c)
	if stays {
		return nil
	}
	query := c.Request().URI().QueryArgs()
	for _, name := range []string{"Algorithm", "Credential", "Date", "Expires", "SignedHeaders", "Signature", "Security-Token"} {
		query.Del("X-Amz-" + name)
	}
	header := &c.Request().Header
	header.Set("X-Amz-Date", time.Now().UTC().Format(amzTime))
	if c.Get("X-Amz-Content-Sha256") == "" {
		header.Set("X-Amz-Content-Sha256", unsignedPayload)
	}
	return nil
}

func (f *front) signingKey(access, token, date, region string) ([]byte, error) {
	root := auth.Account{Access: f.root.Access, Secret: f.root.Secret, Role: auth.RoleAdmin}
	key, _, err := auth.ResolveDerivedKey(f.accounts, root, access, token, date, region, "s3")
	switch err {
	case nil:
		return key, nil
	case auth.ErrNoSuchUser:
		return nil, s3err.GetInvalidAccessKeyIdErr(access)
	case auth.ErrInvalidSessionToken:
		return nil, s3err.GetAPIError(s3err.ErrInvalidToken)
	}
	return nil, err
}

// resign replaces the request's signature by one for Region. It covers what
// versitygw requires: the host and every x-amz-* header.
func resign(c fiber.Ctx, path string, key aws.Credentials) error {
	header := &c.Request().Header
	date := c.Get("X-Amz-Date")
	if date == "" {
		date = c.Get("Date")
		header.Set("X-Amz-Date", date)
	}
	at, err := time.Parse(amzTime, date)
	if err != nil {
		return s3err.GetAPIError(s3err.ErrMissingDateHeader)
	}
	host := string(header.Host())
	r := &http.Request{
		Method: c.Method(),
		Host:   host,
		Header: http.Header{},
		URL: &url.URL{
			Scheme:   "http",
			Host:     host,
			Opaque:   "//" + host + path, // the signer encodes it, once
			RawQuery: c.Request().URI().QueryArgs().String(),
		},
	}
	for name, value := range header.All() {
		if strings.HasPrefix(strings.ToLower(string(name)), "x-amz-") {
			r.Header.Add(string(name), string(value))
		}
	}
	payload := c.Get("X-Amz-Content-Sha256")
	err = v4.NewSigner().SignHTTP(context.Background(), key, r, payload, "s3", Region, at)
	if err != nil {
		return err
	}
	header.Set("Authorization", r.Header.Get("Authorization"))
	return nil
}

// locates reports whether the request creates a bucket with a LocationConstraint.
func locates(c fiber.Ctx) bool {
	bucket, key, err := target(c)
	length := c.Request().Header.ContentLength()
	return err == nil && c.Method() == http.MethodPut && bucket != "" && key == "" &&
		c.Request().URI().QueryArgs().Len() == 0 &&
		length > 0 && length <= maxConfiguration && location.Match(c.BodyRaw())
}

// dropLocation removes the LocationConstraint from the body: there is only one location.
func dropLocation(c fiber.Ctx) error {
	body := c.BodyRaw()
	header := &c.Request().Header
	if sent := c.Get("X-Amz-Content-Sha256"); sent != "" && !utils.IsSpecialPayload(sent) {
		if sum := sha256.Sum256(body); sent != hex.EncodeToString(sum[:]) {
			return s3err.GetContentSHA256MismatchErr(sent, hex.EncodeToString(sum[:]))
		}
	}
	body = location.ReplaceAll(body, nil)
	c.Request().SetBody(body)
	header.SetContentLength(len(body))
	sum := sha256.Sum256(body)
	header.Set("X-Amz-Content-Sha256", hex.EncodeToString(sum[:]))
	var sums []string
	for name := range header.All() {
		if l := strings.ToLower(string(name)); strings.HasPrefix(l, "x-amz-checksum-") || l == "x-amz-sdk-checksum-algorithm" || l == "content-md5" {
			sums = append(sums, string(name))
		}
	}
	for _, name := range sums {
		header.Del(name)
	}
	return nil
}
