//go:build !chaos

package server

import "github.com/ergane-dev/ergane/internal/session"

// crashing is where a build for chaos tests makes the server kill itself; here it changes nothing.
func crashing(store session.Store, host session.Host, objects session.Objects) (session.Store, session.Host, session.Objects) {
	return store, host, objects
}
