package api

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"github.com/ergane-dev/ergane/internal/awsjson"
	"github.com/ergane-dev/ergane/internal/session"
	"github.com/ergane-dev/ergane/internal/store"
	"github.com/ergane-dev/ergane/internal/testkit/fakehost"
)

// harness is a whole server without a network: the Service with a real manager and
// store, on a fake machine.
type harness struct {
	testing.TB
	service *Service
	mux     *http.ServeMux
	machine *fakehost.Machine
	close   func()
}

// withHarness runs a test with a harness in a synctest bubble, whose time begins
// with the year 2000 and passes only while all goroutines wait.
func withHarness(t *testing.T, test func(*harness)) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "ergane.db")
	synctest.Test(t, func(t *testing.T) {
		h := newHarness(t, path)
		defer h.close()
		test(h)
	})
}

func newHarness(t testing.TB, path string) *harness {
	t.Helper()
	db, err := store.Open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	h := &harness{TB: t, mux: http.NewServeMux(), machine: fakehost.New()}
	power := fakehost.NewPower()
	log := slog.New(slog.DiscardHandler)
	m := session.New(session.Config{Server: "server 1", DefaultEngine: fakehost.Engine}, fakehost.NewStore(db, power),
		h.machine.Host(power), fakehost.NewBucket().Objects(power), log)
	if err := m.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	verifier := awsjson.NewVerifier(SigningName, func(id string) (awsjson.Key, error) {
		if id != testKey {
			return awsjson.Key{}, awsjson.ErrUnknownKey
		}
		return awsjson.Key{Secret: testSecret, For: awsjson.Principal{Kind: awsjson.PrincipalRoot}}, nil
	}, nil)
	h.service = New(m, Config{Verifier: verifier, PageKey: []byte("page key"), Log: log})
	h.service.Register(h.mux)
	h.close = func() {
		m.Close()
		h.machine.Close()
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	}
	return h
}

const (
	testKey    = "AKHOUSE"
	testSecret = "the secret of the server"
)

// call sends a signed request to an operation.
func (h *harness) call(operation, body string) *httptest.ResponseRecorder {
	r := request("AmazonAthena."+operation, body)
	sign(r, body, testSecret, time.Now())
	return h.send(r)
}

// request is a call of the protocol without a signature.
func request(target, body string) *http.Request {
	r := httptest.NewRequest(http.MethodPost, "http://127.0.0.1:7480/", strings.NewReader(body))
	r.Header.Set("Content-Type", "application/x-amz-json-1.1")
	if target != "" {
		r.Header.Set("X-Amz-Target", target)
	}
	return r
}

func sign(r *http.Request, body, secret string, at time.Time) {
	hash := sha256.Sum256([]byte(body))
	r.URL.Host = r.Host
	key := aws.Credentials{AccessKeyID: testKey, SecretAccessKey: secret}
	if err := v4.NewSigner().SignHTTP(context.Background(), key, r, hex.EncodeToString(hash[:]), SigningName, "us-east-1", at); err != nil {
		panic(err)
	}
}

func (h *harness) send(r *http.Request) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	h.mux.ServeHTTP(w, r)
	return w
}
