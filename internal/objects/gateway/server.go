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

// server is versitygw's HTTP server on our own socket.
type server struct {
	api *s3api.S3ApiServer
	app *fiber.App // inside api
}

func newServer(objects *durablePosix, ring *credentials.Keyring, dataDir string, l limits) (*server, error) {
	root := ring.Root()
	user := middlewares.RootUserConfig{Access: root.AccessKeyID, Secret: root.Secret}
	accounts := newAccounts(ring, filepath.Join(dataDir, "sessions"))
	door := &front{root: user, accounts: accounts, slots: newSlots(l, root.AccessKeyID)}
	// versitygw's own limit would refuse the newest request: it must never be reached.
	never := 2 * (l.connections + l.all())
	api, err := s3api.New(objects, user, Region, accounts, nil, nil, nil, nil,
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
	app.Server().ErrorHandler = withoutBroken(app.Server().ErrorHandler)
	// A form would be written to a temporary file before its sender is known.
	app.Server().DisablePreParseMultipartForm = true
	return &server{api, app}, nil
}

// withoutBroken does not log broken connections: any client could fill the log
// with them. Nobody reads their answers either, except that to a timeout.
func withoutBroken(handle func(*fasthttp.RequestCtx, error)) func(*fasthttp.RequestCtx, error) {
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

// appOf is versitygw's HTTP server. versitygw has no method to give it a socket
// or to watch its connections.
func appOf(api *s3api.S3ApiServer) (*fiber.App, error) {
	field := reflect.ValueOf(api).Elem().FieldByName("app")
	if !field.IsValid() || field.Type() != reflect.TypeFor[*fiber.App]() {
		return nil, errors.New("the HTTP server of this version of versitygw cannot be found")
	}
	return *(**fiber.App)(unsafe.Pointer(field.UnsafeAddr())), nil
}

// serve answers requests at the socket until shutdown. It returns when requests
// are served; the channel gives the result.
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

// shutdown waits a while for running requests, and returns when served has a result.
func (s *server) shutdown() error { return s.api.ShutDown() }
