package server

import (
	"net/http"

	"github.com/ergane-dev/ergane/internal/metrics"
)

// observed adds /metrics, unsigned like /healthz, before next: a scrape does not
// keep a server with --exit-idle from ending.
func (s *Server) observed(next http.Handler) http.Handler {
	from := metrics.Sources{Census: s.store.Census, Held: s.manager.Held, Pooled: s.manager.Pooled, Layers: s.layersActive}
	if s.s3 != nil {
		from.Restarts = s.s3.Restarts
	}
	s.metrics.Watch(from)
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", s.metrics.Handler(s.log))
	mux.Handle("/", next)
	return mux
}
