package main

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
	// taken, those that carry no request give way to new ones. One key keeps a
	// quarter of them busy at most.
	maxConnections = 4096
	// takeFor is how long a client may pause that reads an answer, such as a
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

// begin keeps the connection of a request that is carried out.
func begin(ctx context.Context, c awsjson.Caller) { conns.Begin(ctx, c.AccessKeyID) }
