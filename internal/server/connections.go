package server

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/ergane-dev/ergane/internal/awsjson"
	"github.com/ergane-dev/ergane/internal/conns"
)

const (
	// maxConnections is how many connections the API has at once; when all are
	// used, new ones replace those without a request. One key can keep at most a
	// quarter of them busy.
	maxConnections = 4096
	// takeFor is how long a client may pause while it reads an answer, such as a
	// calculation's live output in a terminal that is stopped.
	takeFor = 5 * time.Minute
)

// newHTTP is the API's HTTP server; its socket is a bounded one.
func newHTTP(h http.Handler, log *slog.Logger) *http.Server {
	return &http.Server{
		Handler:           h,
		ConnContext:       conns.Context,
		ConnState:         conns.Rested,
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    64 << 10,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
}

// bounded is l with as many connections at once as given, or as descriptors allow.
func bounded(l net.Listener, most int) net.Listener {
	return conns.Limit(l, conns.Limits{Max: conns.Affordable(most), Take: takeFor})
}

// begin protects the connection of a request that is carried out from being replaced.
func begin(ctx context.Context, c awsjson.Caller) { conns.Begin(ctx, c.AccessKeyID) }
