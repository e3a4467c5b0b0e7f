package server

import (
	"encoding/json"
	"net/http"

	"github.com/ergane-dev/ergane/internal/engine"
)

// registerHealth adds the unsigned paths: /healthz, whether the server lives,
// and /readyz, whether sessions can start.
func (s *Server) registerHealth(mux *http.ServeMux) {
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
func (s *Server) ready() Readiness {
	sandbox := s.protection()
	if s.s3 != nil {
		if err := s.s3.Healthy(); err != nil {
			return Readiness{What: "waiting for the embedded S3", Detail: err.Error(), Sandbox: &sandbox}
		}
	}
	r := readiness(s.engines.Ready())
	r.Waiting, r.Warming = s.manager.Pooled()
	catalog := s.catalogState()
	r.Catalog, r.Sandbox = &catalog, &sandbox
	return r
}

// A Readiness is the answer of /readyz.
type Readiness struct {
	Ready  bool   `json:"ready"`
	What   string `json:"what,omitempty"`   // what is being waited for
	Detail string `json:"detail,omitempty"` // how far it is
	Error  string `json:"error,omitempty"`  // why it will not become ready by itself
	// Kernels that were started ahead of their sessions: those that wait for one, and those that are still starting.
	Waiting int `json:"waiting_kernels,omitempty"`
	Warming int `json:"warming_kernels,omitempty"`
	// Catalog is the state of the catalog of all sessions.
	Catalog *CatalogState `json:"catalog,omitempty"`
	// Sandbox is what keeps sessions apart.
	Sandbox *Protection `json:"sandbox,omitempty"`
}

// readiness is the Readiness of an engine.
func readiness(ok bool, p engine.Progress, err error) Readiness {
	switch {
	case ok:
		return Readiness{Ready: true}
	case err != nil:
		return Readiness{Error: err.Error()}
	}
	what, detail := p.Words()
	return Readiness{What: what, Detail: detail}
}
