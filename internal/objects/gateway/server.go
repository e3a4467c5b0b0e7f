package gateway

import (
	"errors"
	"net"
	"net/http"
	"path/filepath"
	"reflect"
	"unsafe"

	"github.com/gofiber/fiber/v3"
	"github.com/valyala/fasthttp"
	"github.com/versity/versitygw/s3api"
	"github.com/versity/versitygw/s3api/middlewares"

	"github.com/ergane-dev/ergane/internal/credentials"
)

// server is versitygw's, at a socket of ours.
type server struct {
	api *s3api.S3ApiServer
	app *fiber.App // inside api
}

func newServer(st *store, ring *credentials.Keyring, dataDir string, l limits) (*server, error) {
	root := ring.Root()
	user := middlewares.RootUserConfig{Access: root.AccessKeyID, Secret: root.Secret}
	accounts := newAccounts(ring, filepath.Join(dataDir, "sessions"))
	door := &front{root: user, accounts: accounts, slots: newSlots(l, root.AccessKeyID)}
	// Its own bounds refuse whoever comes last: they must never be met.
	never := 2 * (l.connections + l.all())
	api, err := s3api.New(st, user, Region, accounts, nil, nil, nil, nil,
		s3api.WithQuiet(), s3api.WithKeepAlive(), s3api.WithMpMaxParts(maxParts),
		s3api.WithConcurrencyLimiter(never, never),
		s3api.WithRoute("GET", healthPath, health),
		s3api.WithMiddleware("/", door.handler()))
	if err != nil {
		return nil, err
	}
	app, err := appOf(api)
	if err != nil {
		return nil, err
	}
	app.Server().ConnState = rest
	app.Server().ErrorHandler = unheard(app.Server().ErrorHandler)
	// A form would be written to a temporary file before anybody has looked who sends it.
	app.Server().DisablePreParseMultipartForm = true
	return &server{api, app}, nil
}

// unheard leaves out of the log, which any peer could fill, that connections
// break or are given up. What stands in the answer nobody reads, but for the one
// whose time is over.
func unheard(handle func(*fasthttp.RequestCtx, error)) func(*fasthttp.RequestCtx, error) {
	return func(c *fasthttp.RequestCtx, err error) {
		broken, ok := errors.AsType[net.Error](err)
		switch {
		case !ok:
			handle(c, err)
		case broken.Timeout():
			c.SetStatusCode(http.StatusRequestTimeout)
		default:
			c.SetStatusCode(http.StatusBadRequest)
		}
	}
}

// appOf takes the HTTP server out of versitygw's. There is no other way to give
// it a socket, or to learn of its connections.
func appOf(api *s3api.S3ApiServer) (*fiber.App, error) {
	field := reflect.ValueOf(api).Elem().FieldByName("app")
	if !field.IsValid() || field.Type() != reflect.TypeFor[*fiber.App]() {
		return nil, errors.New("versitygw keeps its HTTP server elsewhere than this program knows")
	}
	return *(**fiber.App)(unsafe.Pointer(field.UnsafeAddr())), nil
}

// serve answers requests at the socket until shutdown; when it returns they are
// being taken. The result comes through the channel.
func (s *server) serve(socket net.Listener) <-chan error {
	serving, served := make(chan struct{}), make(chan error, 1)
	s.app.Hooks().OnListen(func(fiber.ListenData) error {
		close(serving)
		return nil
	})
	go func() { served <- s.app.Listener(socket, fiber.ListenConfig{DisableStartupMessage: true}) }()
	select {
	case <-serving:
	case err := <-served:
		served <- err
	}
	return served
}

// shutdown lets requests finish for a while and returns when served has a result.
func (s *server) shutdown() error { return s.api.ShutDown() }
