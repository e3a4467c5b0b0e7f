package main

import (
	"encoding/json"
	"net/http"
)

// registerHealth adds the unsigned paths: /healthz, whether the server lives,
// and /readyz, whether sessions can start.
func (s *server) registerHealth(mux *http.ServeMux) {
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		_, _ = w.Write([]byte("ok\n"))
	})
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		r := s.ready()
		w.Header().Set("Content-Type", "application/json")
		if !r.Ready {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
		_ = json.NewEncoder(w).Encode(r)
	})
}

// ready says whether sessions can start and deliver, or what is missing.
func (s *server) ready() readiness {
	sandbox := s.protection()
	if s.s3 != nil {
		if err := s.s3.Healthy(); err != nil {
			return readiness{What: "waiting for the embedded S3", Detail: err.Error(), Sandbox: &sandbox}
		}
	}
	r := s.engines.ready()
	r.Waiting, r.Warming = s.manager.Pooled()
	catalog := s.catalogState()
	r.Catalog, r.Sandbox = &catalog, &sandbox
	return r
}
