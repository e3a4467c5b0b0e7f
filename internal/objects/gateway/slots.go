package gateway

import "sync"

// load is what requests use.
type load struct {
	requests  int
	documents int64 // bytes of bodies that are read into memory
}

func (l load) plus(m load) load { return load{l.requests + m.requests, l.documents + m.documents} }

func (l load) fits(into load) bool {
	return l.requests <= into.requests && l.documents <= into.documents
}

// slots bound the requests that run at once. A holder is an access key id whose
// signature has been verified, or one of those below.
type slots struct {
	limits limits
	server string // the holder that has slots of its own

	mu      sync.Mutex
	all     load            // guarded by mu; without the prober's
	holders map[string]load // guarded by mu; those that use something
}

const (
	strangers = ""      // requests without a key
	prober    = "probe" // the server's probe of the embedded S3; no key has this id
)

func newSlots(l limits, server string) *slots {
	return &slots{limits: l, server: server, holders: map[string]load{}}
}

// bounds are how much a holder may use, and how much all may use together when
// this holder gets a slot. The caller holds mu.
func (s *slots) bounds(holder string) (own, all load) {
	all = load{s.limits.requests, maxDocuments}
	share := load{max(s.limits.requests/keyShare, 1), maxDocuments / keyShare}
	kept := load{s.limits.server(), maxDocuments / keyShare}
	switch holder {
	case s.server:
		return share.plus(kept), all.plus(kept)
	case prober:
		own = load{probeRequests, maxDocument}
		return own, s.all.plus(own) // whatever the others have
	}
	return share, all
}

// enter takes a slot for a request with a document of so many bytes, until leave
// is called; ok is false if none is free.
func (s *slots) enter(holder string, document int64) (leave func(), ok bool) {
	one := load{1, document}
	s.mu.Lock()
	defer s.mu.Unlock()
	own, all := s.bounds(holder)
	if !s.holders[holder].plus(one).fits(own) || !s.all.plus(one).fits(all) {
		return nil, false
	}
	s.add(holder, one)
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.add(holder, load{-one.requests, -one.documents})
	}, true
}

// add adds to a holder's load. The caller holds mu.
func (s *slots) add(holder string, l load) {
	if holder != prober {
		s.all = s.all.plus(l)
	}
	if has := s.holders[holder].plus(l); has.requests == 0 {
		delete(s.holders, holder)
	} else {
		s.holders[holder] = has
	}
}
