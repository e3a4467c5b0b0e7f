package api

import (
	"net/http"

	"github.com/ergane-dev/ergane/internal/athena"
	"github.com/ergane-dev/ergane/internal/awsjson"
)

// errNotYours refuses a call that is signed with a session's key and is not about that session.
var errNotYours = &awsjson.Error{Type: "AccessDeniedException", Status: http.StatusBadRequest,
	Message: "The key of a session can only be used for calls about this session and for S3. Sign other calls with the server's key (ergane env) or a role's key."}

// permit keeps the code of a session, which has a key of its own, from reading
// or ending other sessions.
func permit(c awsjson.Caller, in any) error {
	if c.Principal.Kind != awsjson.PrincipalSession {
		return nil
	}
	// A call may name a session and something else, which may be another's.
	of := athena.SubjectOf(in)
	if value(of.Session) != c.Principal.Name || of.Calculation != nil || of.Notebook != nil {
		return errNotYours
	}
	return nil
}
