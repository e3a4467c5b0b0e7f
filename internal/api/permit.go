package api

import (
	"net/http"

	"github.com/ergane-dev/ergane/internal/athena"
	"github.com/ergane-dev/ergane/internal/awsjson"
)

// errNotYours refuses the code of a session what is not about that session.
var errNotYours = &awsjson.Error{Type: "AccessDeniedException", Status: http.StatusBadRequest,
	Message: "The key of a session is for calls that name this session, and for S3. Sign other calls with the server's key (ergane env), or one of a role."}

// permit keeps the code of a session, which has a key of its own, from the
// sessions of others: what they print, and whether they live.
func (s *Service) permit(c awsjson.Caller, in any) error {
	if s.inside == nil {
		return nil
	}
	own := s.inside(c.AccessKeyID)
	if own == "" {
		return nil
	}
	var named *string
	switch in := in.(type) {
	case *athena.GetSessionRequest:
		named = in.SessionId
	case *athena.GetSessionStatusRequest:
		named = in.SessionId
	case *athena.ListCalculationExecutionsRequest:
		named = in.SessionId
	case *athena.ListExecutorsRequest:
		named = in.SessionId
	case *athena.StartCalculationExecutionRequest:
		named = in.SessionId
	case *athena.TerminateSessionRequest:
		named = in.SessionId
	}
	if value(named) != own {
		return errNotYours
	}
	return nil
}
