package server

import (
	"path/filepath"

	"github.com/ergane-dev/ergane/internal/datadir"
	"github.com/ergane-dev/ergane/internal/host"
	"github.com/ergane-dev/ergane/internal/metastore"
)

// openCatalog makes the host's sessions share a catalog, if that is configured.
func (s *Server) openCatalog(h *host.Host) error {
	switch s.cfg.Catalog {
	case host.CatalogOff:
		return nil
	case host.CatalogAuto:
	default:
		h.ShareCatalog(s.cfg.Catalog, nil)
		return nil
	}
	socket, err := listen("127.0.0.1:0", filepath.Join(s.cfg.DataDir, "catalog"))
	if err != nil {
		return err
	}
	s.catalog = metastore.Serve(socket, metastore.Config{Dir: datadir.Catalog(s.cfg.DataDir), Command: h.MetastoreCommand, Log: s.log})
	h.ShareCatalog("thrift://"+s.catalog.Addr(), s.catalog)
	return nil
}

// catalogState is the state of the catalog for /readyz.
func (s *Server) catalogState() CatalogState {
	if s.catalog == nil {
		return CatalogState{Address: s.cfg.Catalog}
	}
	state, err := s.catalog.State()
	if err != nil {
		return CatalogState{Address: "thrift://" + s.catalog.Addr(), Error: err.Error()}
	}
	return CatalogState{Address: "thrift://" + s.catalog.Addr(), Detail: state}
}

// A CatalogState is what doctor learns of the catalog; Address may be host.CatalogOff.
type CatalogState struct {
	Address string `json:"address"`
	Detail  string `json:"detail,omitempty"`
	Error   string `json:"error,omitempty"`
}
